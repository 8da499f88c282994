// The sample itself, and what in it spoke for a decision; nbdt/view/evidence.py writes the data.

/** A text or a row of columns as it was given; its picture is shown by others. */
function sampleOf({ texts, columns }) {
  return [
    texts.map((text) => make("blockquote", { dir: "auto" }, text)),
    columns.length > 0 && make("div", { class: "row", tabindex: "0", role: "region", "aria-label": "Sample" },
      make("table", {}, make("tbody", {}, columns.map(([name, value]) =>
        make("tr", {}, make("th", { scope: "row" }, bdi(name)), make("td", {}, bdi(value))))))),
  ];
}

/** The words marked by the side they spoke for, the bars of the parts, or the map of a picture. */
function evidenceOf({ sides: [taken, rival], texts, rows, rest, picture: map, note }) {
  const side = (value) => (value > 0 ? "for" : "against");
  const mark = ({ text, level, value }) => (level
    ? make("mark", { class: `${side(level)} l${Math.abs(level)}`, title: value }, text) : text);
  return make("div", { class: "evidence" },
    make("h3", {}, "What spoke for it"),
    map && picture(map, note),
    texts.map((text) => make("blockquote", { dir: "auto" }, text.map(mark))),
    rows.length > 0 && make("table", {},
      make("caption", {},
        make("mark", { class: "for l2" }, bdi(taken)), " or ",
        make("mark", { class: "against l2" }, bdi(rival)), ", in units of the scores"),
      make("tbody", {}, rows.map(({ label, value, share }) => make("tr", {},
        make("th", { scope: "row" }, bdi(label)),
        make("td", {}, diverging(share, side(share))),
        make("td", { class: "number" }, value))))),
    [rest, note].filter(Boolean).map((said) => make("p", { class: "hint" }, said)));
}

/** A bar to the right of a middle line for the one side, to the left for the other. */
function diverging(share, kind) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${50 * Math.abs(share)}%`;
  fill.style.marginLeft = `${share > 0 ? 50 : 50 * (1 - Math.abs(share))}%`;
  return make("span", { class: `bar diverging ${kind}`, "aria-hidden": "true" }, fill);
}
