// The node that is selected: its classes, its decision, and what else is known of it.

const MOST_CHILDREN = 10;
const MOST_CLASSES = 40;

function detailsOf(state, actions) {
  const { tree } = state;
  const element = make("section", { class: "details", "aria-label": "Selected node" });
  const node = (v) => link(tree.name(v), () => actions.select(v));

  function above(v) {
    const path = tree.path(v).slice(0, -1);
    const shown = path.length > 4 ? [path[0], null, ...path.slice(-2)] : path;
    return path.length ? make("p", { class: "above" }, shown.map((one) =>
      [one === null ? "…" : node(one), " › "]).flat()) : null;
  }

  function decided(decision) {
    const order = decision.children
      .map((child, i) => ({ child, share: decision.probabilities[i] }))
      .sort((a, b) => b.share - a.share);
    const shown = order.filter((one, i) => i < MOST_CHILDREN || one.child === decision.child);
    const rest = order.length - shown.length;
    const role = state.reading.role.get(decision.child);
    const beyond = role === "beyond";
    const found = state.data.attributions?.[state.sample]?.find(({ node: at }) => at === decision.node);
    return [
      make("h3", {}, beyond ? "Decision not taken (too unsure)" : "Decision here"),
      make("table", { "aria-label": "Probability of each child" },
        make("tbody", {}, shown.map(({ child, share }) => make("tr", {
          class: child === decision.child ? role : "",
        },
          make("th", { scope: "row" }, node(child),
            child === decision.child
              && make("span", { class: "tag" }, beyond ? "on the likeliest path" : "taken")),
          make("td", {}, bar(share, child === decision.child ? role : "")),
          make("td", { class: "number" }, percent(share)))))),
      rest > 0 && make("p", { class: "hint" }, `and ${count(rest, "child", "children")} less likely`),
      decision.contrary && make("p", {}, "A sibling is more likely here, but the path through this child "
        + "is more likely as a whole."),
      facts([
        ["Lead over the nearest sibling", decision.margin === null
          ? "no other child possible" : decision.margin.toFixed(2).replace("-", "−")],
        ["Uncertainty (0–1)", decision.entropy.toFixed(2)],
        ["Feature distance to a flip", decision.feature_distance?.toPrecision(3)],
      ]),
      found && evidenceOf(found),
    ];
  }

  /** How the node got its name, in words. */
  function naming(v) {
    const about = tree.about(v);
    const share = (part) => percent(part);
    if (about.name_source === "leaves") return "after some of its classes";
    if (about.name_source === "hand") return "by hand";
    if (about.name_source !== "taxonomy") return about.name_source ? String(about.name_source) : null;
    if (typeof about.precision !== "number" || typeof about.recall !== "number") return "from a taxonomy";
    const concept = [bdi(String(about.concept ?? "")), about.concept_wnid && ` (${about.concept_wnid})`];
    if (about.precision === 1 && about.recall === 1) {
      return ["the concept ", ...concept, ": exactly its classes"];
    }
    return ["nearest concept ", ...concept, `: ${share(about.precision)} of the classes here belong `
      + `to it, and ${share(about.recall)} of its classes are here`];
  }

  function classesOf(v) {
    const list = make("ul", { class: "classes" });
    const all = tree.leaves.slice(tree.start[v], tree.start[v] + tree.size[v]);
    const fill = (most) => list.replaceChildren(
      ...all.slice(0, most).map((leaf) => make("li", {}, node(leaf))),
      ...(all.length > most
        ? [make("li", {}, button(`show ${Math.min(all.length - most, 2000).toLocaleString("en")} more`,
          () => fill(most + 2000)))] : []));
    fill(MOST_CLASSES);
    return [make("h3", {}, count(tree.size[v], "class", "classes")), list];
  }

  function prototypes(pictures) {
    return pictures?.length ? [
      make("h3", {}, "Typical samples"),
      make("ul", { class: "prototypes" }, pictures.map(({ image, caption }) => make("li", {},
        make("figure", {}, picture(image, caption),
          make("figcaption", {}, bdi(caption)))))),
    ] : null;
  }

  function update() {
    const v = state.selected;
    const about = tree.about(v);
    const more = state.data.details?.[v] ?? {};
    const decision = state.reading.decision.get(v);
    const share = state.reading.share.get(v);
    element.replaceChildren(...[
      above(v),
      make("h2", {}, bdi(tree.name(v))),
      typeof about.gloss === "string" && make("p", { class: "gloss" }, bdi(about.gloss)),
      facts([
        ["Probability given its parent", share !== undefined && percent(share)],
        ["Probability from the root", state.reading.reach.has(v) && percent(state.reading.reach.get(v))],
        ["Accuracy", more.accuracy],
        ["Samples", more.samples?.toLocaleString("en")],
        ...(more.facts ?? []),
        ["Support", typeof about.support === "number"
          && `in ${percent(about.support)} of ${count(about.support_trees, "tree")}`],
        ["Named", naming(v)],
        ["WordNet id", about.wnid && String(about.wnid)],
        ["Node", String(v)],
      ]),
      ...(decision ? decided(decision) : []),
      ...(prototypes(more.prototypes) ?? []),
      ...(tree.isLeaf(v) ? [] : classesOf(v)),
    ].filter(Boolean));
  }
  return { element, update };
}
