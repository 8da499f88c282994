// mount: all views in one element, and what they do to each other.

const SMALL = 60; // a tree of no more nodes starts unfolded
const mounted = new WeakMap(); // element → the AbortController of its listeners
let pages = 0;

/**
 * Fills an element with the views of {tree, explanations, images, captions, details, samples, attributions}:
 * a document nbdt.hierarchy/1, documents nbdt.explanation/1, and what page_data in page.py writes.
 */
function mount(element, data) {
  mounted.get(element)?.abort();
  const listening = new AbortController();
  mounted.set(element, listening);
  const { signal } = listening;

  const tree = treeOf(data.tree);
  const state = { id: `nbdt${pages++}`, data, tree, sample: 0, open: new Set() };
  const update = () => views.forEach((view) => view.update());
  const actions = {
    select(v) {
      for (const one of tree.path(v).slice(0, -1)) state.open.add(one);
      state.selected = v;
      update();
    },
    toggle(v) {
      if (tree.isLeaf(v)) return;
      if (!state.open.delete(v)) state.open.add(v);
      // What is folded away cannot stay selected.
      if (!state.open.has(v) && tree.holds(v, state.selected)) state.selected = v;
      update();
    },
    open(nodes) {
      for (const v of nodes) if (!tree.isLeaf(v)) state.open.add(v);
      update();
    },
    fold() {
      state.open.clear();
      state.open.add(tree.root);
      state.selected = tree.root;
      update();
    },
    show(sample) {
      state.sample = sample;
      state.reading = readingOf(tree, data.explanations?.[sample]);
      actions.showPath();
    },
    showPath() {
      const { explanation, path } = state.reading;
      state.open = new Set(path.filter((v) => !tree.isLeaf(v)));
      if (tree.total <= SMALL) actions.everything();
      else if (!explanation) actions.firstLevels();
      state.selected = explanation ? explanation.diverges_at : tree.root;
      update();
    },
    everything() {
      for (let v = 0; v < tree.total; v++) if (!tree.isLeaf(v)) state.open.add(v);
    },
    /** Unfolds level by level, as long as a screen holds it. */
    firstLevels() {
      const queue = [tree.root];
      for (let lines = 1; queue.length; ) {
        const v = queue.shift();
        lines += tree.children(v).length;
        if (lines > SMALL && v !== tree.root) return;
        if (!tree.isLeaf(v)) state.open.add(v);
        queue.push(...tree.children(v));
      }
    },
    focusOutline: () => outline.element.focus(),
  };

  const outline = outlineOf(state, actions);
  const search = searchOf(state, actions);
  const map = mapOf(state, actions);
  const details = detailsOf(state, actions);
  const summary = summaryOf(state, actions);
  const samples = samplesOf(state, actions);
  const buttons = make("div", { class: "bar-of-buttons" },
    make("h2", {}, data.explanations?.length ? "The path" : "The tree"),
    data.explanations?.length ? button("Show path", actions.showPath) : null,
    button("Unfold all", () => { actions.everything(); update(); }),
    button("Fold all", actions.fold));
  const views = [samples, summary, search, outline, map, details].filter(Boolean);

  element.classList.add("nbdt");
  element.replaceChildren(...[
    samples?.element,
    summary.element,
    make("div", { class: "columns" },
      make("section", { class: "tree", "aria-label": "Tree" }, buttons, search.element, outline.element),
      map.element, details.element),
  ].filter(Boolean));
  actions.show(0);

  // Links from elsewhere in the page, such as a report's: <a href="#view" data-node="7">.
  document.addEventListener("click", (event) => {
    const from = event.target.closest("a[data-node]");
    if (!element.id || from?.hash !== `#${element.id}`) return;
    event.preventDefault();
    window.location.hash = from.hash; // so that "back" leads back to the link
    actions.select(Number(from.dataset.node));
    element.scrollIntoView();
    outline.element.focus({ preventScroll: true });
  }, { signal });
  // Paper has no scroll bars: all lines have to exist while it is printed.
  window.addEventListener("beforeprint", () => outline.paint(true), { signal });
  window.addEventListener("afterprint", () => outline.paint(), { signal });
  window.addEventListener("resize", update, { signal });
}

for (const holder of document.querySelectorAll("script[data-nbdt-for]")) {
  mount(document.getElementById(holder.dataset.nbdtFor), JSON.parse(holder.textContent));
}
