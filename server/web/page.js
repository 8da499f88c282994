// The service's page: asks the service, and hands the answers to the views, which stand above.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const [ask, model, drop, files, key] = ["ask", "model", "drop", "files", "key"].map(element);
  const SAMPLES = { grey: ["three", "seven"], colour: ["flower", "temple"] };

  const described = new Map(); // model → what the service tells of it
  const trees = new Map(); // model → its tree
  let chosen = []; // the images that were asked last: {file, name, url}
  let asked = 0; // answers that come after a later question are dropped

  function say(status, error = "") {
    element("status").textContent = status;
    element("error").textContent = error;
  }

  async function fetched(path, options = {}) {
    const headers = { Accept: "application/json" };
    if (key.value) headers.Authorization = `Bearer ${key.value}`;
    const answer = await fetch(path, { ...options, headers });
    if (answer.status === 401) element("key-field").hidden = false;
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail ?? `The service answers ${answer.status}.`);
    }
    return answer.json();
  }

  async function once(known, name, path) {
    if (!known.has(name)) known.set(name, await fetched(path));
    return known.get(name);
  }

  const address = (name) => `api/v1/models/${encodeURIComponent(name)}`;
  const rule = () => ask.elements.rule.value;

  /** Shows the tree of the model and, if images were chosen, what it says of them. */
  async function show() {
    const turn = ++asked;
    const name = model.value;
    if (!name) return;
    say(chosen.length ? "Asking …" : "");
    try {
      const data = { tree: await once(trees, name, `${address(name)}/tree`), explanations: [] };
      if (chosen.length) {
        const body = new FormData();
        for (const { file } of chosen) body.append("image", file, "image");
        const path = `${address(name)}/explain?rule=${rule()}`;
        data.explanations = (await fetched(path, { method: "POST", body })).explanations;
        data.images = chosen.map(({ url }) => url);
        data.captions = chosen.map((one) => one.name);
      }
      if (turn !== asked) return;
      nbdt.mount(element("view"), data);
      const answers = data.explanations.map((said) => said.answer_name);
      say(answers.length ? `Answer: ${answers.join(", ")}.` : "");
    } catch (error) {
      if (turn === asked) say("", error.message);
    }
  }

  function choose(list) {
    const images = [...list].filter((file) => file.type.startsWith("image/"));
    if (!images.length) return say("", "That is no image; JPEG, PNG and WebP are read.");
    for (const { url } of chosen) URL.revokeObjectURL(url);
    chosen = images.map((file) => ({ file, name: file.name, url: URL.createObjectURL(file) }));
    return show();
  }

  async function changeModel() {
    try {
      const told = await once(described, model.value, address(model.value));
      ask.elements.rule.value = told.rule;
      offerSamples(told.input);
      if (!told.input.images) say("", "This model takes arrays only, which this page cannot send.");
      await show();
    } catch (error) {
      say("", error.message);
    }
  }

  function offerSamples(input) {
    const kind = input.preprocessing?.mode === "L" ? "grey" : "colour";
    const buttons = (input.images ? SAMPLES[kind] : []).map((name) => {
      const image = document.createElement("img");
      Object.assign(image, { src: `page/samples/${name}`, alt: "" });
      const button = document.createElement("button");
      button.type = "button";
      button.append(image, name);
      button.addEventListener("click", async () => {
        const data = await (await fetch(`page/samples/${name}`)).blob();
        choose([new File([data], name, { type: data.type })]);
      });
      return button;
    });
    element("samples").replaceChildren(element("samples").firstElementChild, ...buttons);
    element("samples").hidden = !buttons.length;
  }

  async function start() {
    say("");
    try {
      const { models } = await fetched("api/v1/models");
      element("key-field").hidden = !key.value;
      model.replaceChildren(...models.map(({ name }) => new Option(name, name)));
      await changeModel();
    } catch (error) {
      say("", error.message);
    }
  }

  ask.addEventListener("submit", (event) => { event.preventDefault(); start(); });
  key.addEventListener("change", start);
  model.addEventListener("change", changeModel);
  for (const one of ask.elements.rule) one.addEventListener("change", show);
  files.addEventListener("change", () => { choose(files.files); files.value = ""; });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) choose(event.clipboardData.files);
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer?.files.length) choose(event.dataTransfer.files);
  });
  start();
})();
