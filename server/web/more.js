// What the page shows beside the views: the likeliest classes, and what spoke for each decision.
"use strict";

const more = (() => {
  const MOST = 12; // bars of a decision

  function element(tag, attributes = {}, ...children) {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  }

  const name = (text) => element("bdi", { textContent: text });
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  /** A list of bars, each {label, weight from 0 to 1, text, against}. */
  function bars(entries) {
    const list = element("dl", { className: "bars" });
    for (const { label, weight, text, against } of entries) {
      const fill = element("i");
      fill.style.setProperty("--weight", Math.min(1, Math.max(0, weight)));
      const track = element("span", { className: `track ${against ? "against" : ""}` }, fill);
      track.setAttribute("aria-hidden", "true");
      list.append(element("dt", {}, name(label)), element("dd", {}, track, element("span", {}, text)));
    }
    return list;
  }

  const likeliest = (top) => bars(top.map(({ name: label, probability }) =>
    ({ label, weight: probability, text: percent(probability) })));

  /** A text with the words that spoke for a decision, or against it. */
  function words(text, place, parts, largest) {
    const signs = [...text]; // the service counts code points
    const shown = element("p", { className: "words" });
    let end = 0;
    const own = parts.filter((part) => part.text === place).sort((a, b) => a.start - b.start);
    for (const part of own) {
      if (part.start < end) continue; // n-grams overlap
      shown.append(signs.slice(end, part.start).join(""));
      const kind = part.contribution >= 0 ? "for" : "against";
      const mark = element("mark", { className: kind, title: part.contribution.toFixed(2) },
        signs.slice(part.start, part.end).join(""));
      mark.style.setProperty("--weight", Math.abs(part.contribution) / largest);
      shown.append(mark);
      end = part.end;
    }
    shown.append(signs.slice(end).join(""));
    return shown;
  }

  function decision(one, texts) {
    const largest = Math.max(1e-9, ...one.parts.map((part) => Math.abs(part.contribution)));
    const title = element("h3", {}, name(one.node_name), ": ", name(one.child_name), ", not ", name(one.rival_name));
    if (one.parts.some((part) => "start" in part) && texts.length) {
      return [title, ...texts.map((text, place) => words(text, place, one.parts, largest))];
    }
    const order = [...one.parts].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
    return [title, bars(order.slice(0, MOST).map((part) => ({
      label: "value" in part ? `${part.name} = ${part.value}` : part.name,
      weight: Math.abs(part.contribution) / largest,
      against: part.contribution < 0,
      text: `${Math.abs(part.contribution).toFixed(2)} for ${part.contribution < 0 ? one.rival_name : one.child_name}`,
    })))];
  }

  /** The sections for an answer {top, attribution, saliency} to rows of these captions and texts. */
  function sections({ top, attribution, saliency }, captions, texts) {
    const found = [];
    if (top) {
      const lists = top.flatMap((one, i) => [
        ...(top.length > 1 ? [element("h3", {}, name(captions[i]))] : []), likeliest(one)]);
      found.push(element("section", { className: "more" }, element("h2", {}, "Likeliest classes"), ...lists));
    }
    const heading = element("h2", {}, "What spoke for each decision");
    if (saliency) {
      const strip = element("img", { src: saliency[0], alt: "the pixels that spoke for each decision", className: "strip" });
      found.push(element("section", { className: "more" }, heading, strip));
    } else if (attribution?.[0]?.length) {
      const hint = element("p", { className: "hint" },
        "Blue speaks for the child that was taken, orange for its nearest rival; the stronger, the "
        + `fuller. Each part is compared with ${attribution[0][0].in_place} in its place.`);
      found.push(element("section", { className: "more" }, heading, hint,
        ...attribution[0].flatMap((one) => decision(one, texts))));
    }
    return found;
  }
  return { sections };
})();
