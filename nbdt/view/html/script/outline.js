// The outline: an ARIA tree of which only the lines in view exist.

const ROW = 30; // the height of a line in pixels, as in page.css
const MOST_PRINTED = 2000;
const INDENTS = [5, 20]; // the least and the most that a level is indented by, in pixels

function outlineOf(state, actions) {
  const { tree } = state;
  const lines = make("div", { class: "lines", role: "presentation" });
  const element = make("div", {
    class: "outline", role: "tree", tabindex: "0", "aria-label": "Tree of classes",
    onscroll: () => paint(), onkeydown,
  }, lines);
  let rows = []; // the nodes in view or out of it, from top to bottom
  let place = new Map(); // node → its index in `rows`
  let most = Infinity; // how many levels are indented; deeper ones are numbered
  let typed = "";
  let typedAt = 0;

  function collect() {
    rows = [];
    const stack = [tree.root];
    while (stack.length) {
      const v = stack.pop();
      rows.push(v);
      if (state.open.has(v)) stack.push(...tree.children(v).toReversed());
    }
    place = new Map(rows.map((v, i) => [v, i]));
  }

  /** The tags of a node, and of what a folded one hides. */
  function tagsOf(v) {
    const tags = [...(state.reading.tags.get(v) ?? [])];
    if (tree.isLeaf(v) || state.open.has(v)) return tags;
    for (const [node, hidden] of state.reading.tags) {
      if (node !== v && tree.holds(v, node)) tags.push(...hidden.map((tag) => `holds ${tag}`));
    }
    return tags;
  }

  function line(v, i) {
    const siblings = v === tree.root ? [v] : tree.children(tree.parents[v]);
    const folds = !tree.isLeaf(v);
    const open = state.open.has(v);
    const share = state.reading.share.get(v);
    const role = state.reading.role.get(v);
    const depth = tree.depth[v];
    const tags = tagsOf(v);
    const size = folds && !open ? count(tree.size[v], "class", "classes") : null;
    const said = [tree.name(v), size, share !== undefined && percent(share),
      role === "taken" && v !== tree.root && "on the path",
      role === "beyond" && "not taken (too unsure)", ...tags];
    const item = make("div", {
      role: "treeitem", id: `${state.id}-${v}`, title: tree.name(v),
      class: role ? `line ${role}` : "line",
      "aria-label": said.filter(Boolean).join(", "),
      "aria-level": depth + 1,
      "aria-setsize": siblings.length,
      "aria-posinset": siblings.indexOf(v) + 1,
      "aria-expanded": folds && String(open),
      "aria-selected": String(v === state.selected),
      onclick: () => actions.select(v),
    },
      depth > most
        ? make("span", { class: "indent deep" }, `level ${(depth + 1).toLocaleString("en")}`)
        : make("span", { class: "indent" }),
      make("span", {
        class: folds ? "twisty" : "twisty dot",
        onclick: folds ? (event) => { event.stopPropagation(); actions.toggle(v); } : null,
      }, folds ? (open ? "▾" : "▸") : "•"),
      make("span", { class: "name" }, tree.name(v)),
      size && make("span", { class: "size" }, size),
      make("span", { class: "tags" }, [...tags, ...(role === "beyond" ? ["not taken"] : [])]
        .map((tag) => make("span", { class: "tag" }, tag))),
      share !== undefined && bar(share, role),
      share !== undefined && make("span", { class: "number" }, percent(share)));
    item.style.top = `${i * ROW}px`;
    item.style.setProperty("--level", Math.min(depth, most));
    return item;
  }

  function paint(everything = false) {
    const first = everything ? 0 : Math.max(0, Math.floor(element.scrollTop / ROW) - 10);
    const last = everything ? MOST_PRINTED : first + Math.ceil(element.clientHeight / ROW) + 20;
    const left = everything ? rows.length - last : 0;
    lines.replaceChildren(...rows.slice(first, last).map((v, i) => line(v, first + i)),
      ...(left > 0 ? [make("p", { class: "left" }, `and ${left.toLocaleString("en")} more`)] : []));
  }

  function update() {
    collect();
    const deepest = rows.reduce((most, v) => Math.max(most, tree.depth[v]), 1);
    // Two thirds of a line belong to the name and its notes, however deep the tree.
    const room = element.clientWidth / 3;
    most = Math.max(10, Math.floor(room / INDENTS[0]));
    const step = Math.max(INDENTS[0], Math.min(INDENTS[1], room / Math.min(deepest, most)));
    lines.style.setProperty("--step", `${step}px`);
    lines.style.height = `${rows.length * ROW}px`;
    const at = place.get(state.selected);
    const top = at * ROW;
    if (top < element.scrollTop) element.scrollTop = top - ROW;
    if (top + ROW > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + 3 * ROW - element.clientHeight;
    }
    paint();
    element.setAttribute("aria-activedescendant", `${state.id}-${state.selected}`);
  }

  function onkeydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const v = state.selected;
    const at = place.get(v);
    const page = Math.max(1, Math.floor(element.clientHeight / ROW) - 1);
    const go = (i) => actions.select(rows[Math.max(0, Math.min(rows.length - 1, i))]);
    const keys = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight() {
        if (state.open.has(v)) go(at + 1);
        else actions.toggle(v);
      },
      ArrowLeft() {
        if (state.open.has(v)) actions.toggle(v);
        else if (v !== tree.root) actions.select(tree.parents[v]);
      },
      Enter: () => actions.toggle(v),
      " ": () => actions.toggle(v),
      "*": () => actions.open(v === tree.root ? [v] : tree.children(tree.parents[v])),
    };
    if (keys[event.key]) keys[event.key]();
    else if (event.key.length === 1) seek(event.key, event.timeStamp);
    else return;
    event.preventDefault();
  }

  /** Goes to the next line that begins with what was typed within a second. */
  function seek(key, now) {
    typed = now - typedAt < 1000 ? typed + key.toLowerCase() : key.toLowerCase();
    typedAt = now;
    const from = place.get(state.selected) + (typed.length === 1 ? 1 : 0);
    const order = [...rows.slice(from), ...rows.slice(0, from)];
    const found = order.find((v) => tree.name(v).toLowerCase().startsWith(typed));
    if (found !== undefined) actions.select(found);
  }

  return { element, update, paint };
}
