// The pieces that all views are made of.
//
// Names come from files and may be anything. They enter the page as text or as attributes of
// elements made here, never as markup.

/** An element; attributes that are false or null are left out, "onx" listens to the event x. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** A name set apart, so that right-to-left ones do not turn the text around them. */
const bdi = (name) => make("bdi", {}, name);

const button = (label, onclick, attributes = {}) =>
  make("button", { type: "button", onclick, ...attributes }, label);

/** The name of a node that selects it; a link, as a button would not break across lines. */
function link(name, select) {
  const onclick = (event) => { event.preventDefault(); select(); };
  return make("a", { href: "#view", onclick }, bdi(name));
}

const count = (number, noun, many = `${noun}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? noun : many}`;

/** A whole percentage, as nbdt/explain/decision.py writes it. */
function percent(share) {
  if (share > 0 && share < 0.005) return "<1\u00a0%";
  if (share >= 0.995 && share < 1) return ">99\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}

/** A picture in its own shape; one much smaller than its place is enlarged in clear squares. */
function picture(src, alt) {
  const onload = ({ target: shown }) => shown.classList.toggle("tiny", 2 * Math.max(
    shown.naturalWidth / shown.clientWidth, shown.naturalHeight / shown.clientHeight) <= 1);
  return make("img", { src, alt, onload, loading: "lazy" });
}

function bar(share, kind = "") {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, fill);
}

/** Pairs of a term and what is said of it; those without an answer are left out. */
function facts(pairs) {
  const said = pairs.filter(([, value]) => value != null && value !== false);
  return said.length
    ? make("dl", {}, said.map(([term, value]) =>
        make("div", {}, make("dt", {}, term), make("dd", {}, value))))
    : null;
}
