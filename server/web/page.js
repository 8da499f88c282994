// The service's page: asks the service and hands the answers to the views, whose script comes before.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const [ask, model, drop, files, key] = ["ask", "model", "drop", "files", "key"].map(element);
  const REPLACED = "The model is being replaced. Try again.";
  const SAMPLES = { grey: ["three", "seven"], colour: ["flower", "temple"] };

  const known = new Map(); // model → what the service tells of it, and its tree, of one version
  let chosen = []; // the images that were asked last: {file, name, url}
  let leftOut = []; // the names of files that were chosen with them, and are none
  let asked = 0; // answers that come after a later question are dropped

  // What breaks a line or turns its direction around is written out.
  const TURNING = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
  const written = (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`;
  /** A document with each of its texts on one line. */
  function clean(value) {
    if (typeof value === "string") return value.replace(TURNING, written);
    if (Array.isArray(value)) return value.map(clean);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, clean(one)]));
  }

  /** Tells how things are; while they are on their way, what is shown is of before, and pale. */
  function say(status, error = "", { busy = false } = {}) {
    element("status").textContent = status;
    element("error").textContent = error;
    element("view").setAttribute("aria-busy", busy);
  }

  async function fetched(path, options = {}) {
    const headers = { Accept: "application/json" };
    if (key.value) headers.Authorization = `Bearer ${key.value}`;
    const answer = await fetch(path, { ...options, headers });
    if (answer.status === 401) element("key-field").hidden = false;
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      const told = problem.detail ?? `The service answered ${answer.status}.`;
      throw Object.assign(new Error(told), { status: answer.status });
    }
    return answer.json();
  }

  const address = (name) => `api/v1/models/${encodeURIComponent(name)}`;

  /** What the service tells of a model; asked again where an answer came from another version. */
  async function knownOf(name, version = known.get(name)?.version) {
    if (!known.has(name) || known.get(name).version !== version) {
      const told = await fetched(address(name));
      known.set(name, { ...told, tree: await fetched(`${address(name)}/tree`) });
    }
    return known.get(name);
  }

  const rule = () => ask.elements.rule.value;

  /** What the model says of images, all of one version. */
  async function said(name, images) {
    const body = new FormData();
    for (const { file } of images) body.append("image", file, "image");
    const path = `${address(name)}/explain?rule=${rule()}`;
    return fetched(path, { method: "POST", body });
  }

  /** The same; where one of several images is refused, it does not take the others with it. */
  async function saidOfEach(name, images, turn) {
    const refused = (error) => [400, 413, 415].includes(error.status);
    try {
      return { ...(await said(name, images)), images, reasons: [] };
    } catch (error) {
      if (images.length < 2 || !refused(error)) throw error;
    }
    const found = { explanations: [], images: [], reasons: [] };
    for (const image of images) {
      try {
        const { explanations, version } = await said(name, [image]);
        if (turn !== asked) break; // nobody waits for the rest
        if (version !== (found.version ?? version)) throw new Error(REPLACED);
        found.version = version;
        found.explanations.push(...explanations);
        found.images.push(image);
      } catch (error) {
        if (!refused(error)) throw error;
        found.reasons.push(`${image.name}: ${error.message.replace(/^row 0: /, "")}`);
      }
    }
    if (!found.images.length) throw new Error(found.reasons.join(" "));
    return found;
  }

  /** Shows the tree of the model and, if images were chosen, what it says of them. */
  async function show() {
    const turn = ++asked;
    const name = model.value;
    if (!known.has(name)) return;
    const notes = leftOut.map((file) => `${file} is not an image.`);
    say(chosen.length ? "Asking …" : "Loading …", "", { busy: true });
    try {
      const data = { tree: known.get(name).tree, explanations: [] };
      const takesImages = known.get(name).input.images;
      if (chosen.length && takesImages) {
        const { explanations, version, images, reasons } = await saidOfEach(name, chosen, turn);
        const told = await knownOf(name, version);
        if (told.version !== version) throw new Error(REPLACED);
        Object.assign(data, { tree: told.tree, explanations });
        data.images = images.map(({ url }) => url);
        data.captions = images.map((one) => one.name);
        notes.push(...reasons);
      }
      if (turn !== asked) return;
      nbdt.mount(element("view"), clean(data));
      const answers = clean(data.explanations.map((said) => said.answer_name));
      if (!takesImages) notes.push("This model takes only arrays, which this page cannot send.");
      say(answers.length ? `Answer: ${answers.join(", ")}.` : "", notes.join(" "));
    } catch (error) {
      if (turn === asked) say("", error.message);
    }
  }

  function choose(list) {
    const images = [...list].filter((file) => file.type.startsWith("image/"));
    if (!images.length) return say("", "This is not an image; choose JPEG, PNG or WebP.");
    leftOut = [...list].filter((file) => !images.includes(file)).map(({ name }) => name);
    for (const { url } of chosen) URL.revokeObjectURL(url);
    chosen = images.map((file) => ({ file, name: file.name, url: URL.createObjectURL(file) }));
    return show();
  }

  async function changeModel() {
    const name = model.value;
    asked++;
    say("Loading …", "", { busy: true });
    try {
      const told = await knownOf(name);
      if (name !== model.value) return;
      ask.elements.rule.value = told.rule;
      offerSamples(told.input);
      await show();
    } catch (error) {
      if (name === model.value) say("", error.message);
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
