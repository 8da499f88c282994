// Search for a class or a group by a part of its name.

const MOST_HITS = 50;

function searchOf(state, actions) {
  const { tree } = state;
  const names = Array.from({ length: tree.total }, (_, v) => tree.name(v).toLowerCase());
  const status = make("p", { class: "hint", role: "status" });
  const list = make("ul", { class: "hits" });
  const input = make("input", {
    type: "search", id: `${state.id}-search`, autocomplete: "off", spellcheck: "false",
    placeholder: "Find a class or group", oninput: find,
    onkeydown(event) {
      if (event.key === "Enter") list.querySelector("button")?.click();
      if (event.key === "Escape") close();
    },
  });
  const element = make("div", { class: "search" },
    make("label", { for: input.id, class: "unseen" }, "Find a class or group"), input, status, list);

  function close() {
    input.value = "";
    find();
  }

  function find() {
    const wanted = input.value.trim().toLowerCase();
    const hits = [];
    // Classes come first, as their ids do; names that begin with the text before all others.
    if (wanted) names.forEach((name, v) => { if (name.includes(wanted)) hits.push(v); });
    const begins = (v) => (names[v].startsWith(wanted) ? 0 : 1);
    hits.sort((a, b) => begins(a) - begins(b) || a - b);
    status.textContent = wanted ? `${hits.length.toLocaleString("en")} found` : "";
    list.replaceChildren(...hits.slice(0, MOST_HITS).map((v) => make("li", {},
      button([bdi(tree.name(v)), make("small", {}, tree.isLeaf(v) ? "class"
        : count(tree.size[v], "class", "classes"))], () => {
        close();
        actions.select(v);
        actions.focusOutline();
      }))));
  }
  return { element, update() {} };
}
