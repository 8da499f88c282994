// The map: every node a block as wide as its number of classes.

function mapOf(state, actions) {
  const { tree } = state;
  const cells = make("div", { class: "cells", "aria-hidden": "true" });
  const pane = make("div", {
    class: "pane", tabindex: "0", role: "group",
    "aria-label": "Map of the tree; the outline says the same. Plus and minus zoom, arrows move.",
    onscroll: () => update(), onkeydown, onpointerdown, onwheel,
  }, cells);
  const samples = state.data.explanations ?? [];
  const element = make("section", { class: "map", "aria-label": "Map" },
    make("div", { class: "bar-of-buttons" },
      make("h2", {}, "The whole tree"),
      button("−", () => zoom(0.5), { "aria-label": "Zoom out" }),
      button("+", () => zoom(2), { "aria-label": "Zoom in" }),
      button("Selected", () => focus(state.selected), { "aria-label": "Zoom to the selected node" }),
      button("All", () => look(0, tree.size[tree.root]), { "aria-label": "Show the whole tree" })),
    pane,
    make("p", { class: "hint" }, "Each block is a group, as wide as its number of classes. "
      + (samples.length ? "Filled: the path; underlined: the way to the runner-up. " : "")
      + (samples.some((said) => said.stopped_at !== null)
        ? "Dashed: not taken, because too unsure. " : "")
      + "Drag to move, double-click to zoom."));
  let from = 0; // the first class in view, and the one after the last
  let to = tree.size[tree.root];
  let clickedAt = -Infinity;

  function look(left, right) {
    const width = Math.min(Math.max(right - left, 2), tree.size[tree.root]);
    from = Math.min(Math.max(0, (left + right - width) / 2), tree.size[tree.root] - width);
    to = from + width;
    update();
  }

  function zoom(factor, centre = (from + to) / 2) {
    look(centre - (centre - from) / factor, centre + (to - centre) / factor);
  }

  function focus(v) {
    const node = tree.isLeaf(v) && v !== tree.root ? tree.parents[v] : v;
    look(tree.start[node], tree.start[node] + tree.size[node]);
    pane.scrollTop = (tree.depth[node] - 1) * rowHeight();
  }

  const rowHeight = () => Math.max(20, Math.min(34, Math.floor(300 / (tree.height + 1))));

  function update() {
    const row = rowHeight();
    cells.style.height = `${(tree.height + 1) * row - 1}px`;
    const scale = pane.clientWidth / (to - from);
    const rival = state.reading.explanation?.runner_up;
    const drawn = [];
    const stack = [tree.root];
    while (stack.length) {
      const v = stack.pop();
      const left = (tree.start[v] - from) * scale;
      const width = tree.size[v] * scale;
      const role = state.reading.role.get(v);
      const special = role || (rival !== undefined && tree.holds(v, rival)) || v === state.selected;
      // What is too narrow to see is left out, but the path goes on to its end.
      if (left > pane.clientWidth || left + width < 0 || (width < 2 && !special
        && !tree.holds(v, state.selected))) continue;
      for (const child of tree.children(v)) stack.push(child);
      const top = tree.depth[v] * row;
      if (top + row < pane.scrollTop || top > pane.scrollTop + pane.clientHeight) continue;
      const inView = Math.max(left, 0);
      const seen = Math.min(left + width, pane.clientWidth) - inView;
      const cell = make("div", { class: "cell", title: seen < 160 && tree.name(v) });
      if (role) cell.classList.add(role);
      else if (rival !== undefined && tree.holds(v, rival)) cell.classList.add("rival");
      else if (state.reading.share.has(v)) cell.classList.add("sibling");
      if (v === state.selected) cell.classList.add("selected");
      if (seen > 28) cell.append(make("span", {}, tree.name(v)));
      cell.style.left = `${inView}px`;
      cell.style.top = `${top}px`;
      cell.style.width = `${Math.max(seen - (width > 6 ? 1 : 0), special ? 3 : 1)}px`;
      cell.style.height = cell.style.lineHeight = `${row - 1}px`;
      cell.dataset.node = v;
      drawn.push(cell);
    }
    cells.replaceChildren(...drawn);
  }

  const classAt = (event) =>
    from + ((event.clientX - pane.getBoundingClientRect().left) / pane.clientWidth) * (to - from);

  function onpointerdown(event) {
    if (event.button !== 0) return;
    const grabbed = { x: event.clientX, from, to, node: event.target.closest?.(".cell")?.dataset.node };
    const perPixel = (to - from) / pane.clientWidth;
    let dragged = false;
    const listening = new AbortController();
    const { signal } = listening;
    window.addEventListener("pointermove", (moved) => {
      const by = moved.clientX - grabbed.x;
      dragged ||= Math.abs(by) > 4;
      if (dragged) look(grabbed.from - by * perPixel, grabbed.to - by * perPixel);
    }, { signal });
    window.addEventListener("pointercancel", () => listening.abort(), { signal });
    window.addEventListener("pointerup", () => {
      listening.abort();
      if (dragged || grabbed.node === undefined) return;
      // Drawing anew between two clicks hides a double click from the browser.
      const node = Number(grabbed.node);
      const twice = node === state.selected && event.timeStamp - clickedAt < 500;
      clickedAt = event.timeStamp;
      if (twice) focus(node);
      else actions.select(node);
    }, { signal });
  }
  function onwheel(event) {
    // The plain wheel scrolls the page; a pinch arrives as a wheel with the control key.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), classAt(event));
  }

  function onkeydown(event) {
    const step = (to - from) / 5;
    const keys = {
      "+": () => zoom(2), "=": () => zoom(2), "-": () => zoom(0.5),
      0: () => look(0, tree.size[tree.root]),
      ArrowLeft: () => look(from - step, to - step),
      ArrowRight: () => look(from + step, to + step),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    keys[event.key]();
    event.preventDefault();
  }

  return { element, update };
}
