// The service's page: asks the service and hands the answers to the views, whose script comes before.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const [ask, model, drop, files, key, text] =
    ["ask", "model", "drop", "files", "key", "text"].map(element);
  const FIELDS = { image: drop, text: element("text-field"), row: element("row-field") };
  const REPLACED = "The model is being replaced. Try again.";
  const SAMPLES = { grey: ["three", "seven"], colour: ["flower", "temple"] };

  const known = new Map(); // model → what the service tells of it, and its tree, of one version
  let chosen = []; // the rows that were asked last: {name, file, url}, or {name, row}
  let readRow = () => ({}); // the row in the form of columns
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
    const headers = { Accept: "application/json", ...options.headers };
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

  /** What the model says of rows, all of one version. */
  async function said(name, chosen) {
    const top = element("top").value;
    const wanted = element("attribution").checked && chosen.length === 1;
    const path = `${address(name)}/explain?rule=${rule()}&top=${top}&attribution=${wanted}`;
    if (chosen[0].file) {
      const body = new FormData();
      for (const { file } of chosen) body.append("image", file, "image");
      return fetched(path, { method: "POST", body });
    }
    const body = JSON.stringify({ instances: chosen.map(({ row }) => row) });
    return fetched(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  }

  /** The same; where one of several images is refused, it does not take the others with it. */
  async function saidOfEach(name, images, turn) {
    const refused = (error) => [400, 413, 415].includes(error.status);
    try {
      return { ...(await said(name, images)), images, reasons: [] };
    } catch (error) {
      if (images.length < 2 || !refused(error)) throw error;
    }
    const found = { explanations: [], images: [], reasons: [], top: undefined };
    for (const image of images) {
      try {
        const { explanations, version, top } = await said(name, [image]);
        if (turn !== asked) break; // nobody waits for the rest
        if (version !== (found.version ?? version)) throw new Error(REPLACED);
        found.version = version;
        found.explanations.push(...explanations);
        found.images.push(image);
        if (top) found.top = [...(found.top ?? []), ...top];
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
      const sections = [];
      if (chosen.length) {
        const found = await saidOfEach(name, chosen, turn);
        const { explanations, version, images, reasons } = found;
        const told = await knownOf(name, version);
        if (told.version !== version) throw new Error(REPLACED);
        Object.assign(data, { tree: told.tree, explanations });
        if (images[0].url) data.images = images.map(({ url }) => url);
        data.captions = images.map((one) => one.name);
        notes.push(...reasons, ...(found.notes ?? []).map((one) => one.replace(/^row 0: /, "")));
        if (element("attribution").checked && images.length > 1) {
          notes.push("What spoke for each decision is told of one image at a time.");
        }
        const texts = [images[0].row].flat().filter((one) => typeof one === "string");
        sections.push(...more.sections(found, data.captions, texts));
      }
      if (turn !== asked) return;
      nbdt.mount(element("view"), clean(data));
      element("more").replaceChildren(...sections);
      const answers = clean(data.explanations.map((said) => said.answer_name));
      if (rows.kindOf(known.get(name).input) === "array") {
        notes.push("This model takes only arrays, which this page cannot send.");
      }
      say(answers.length ? `Answer: ${answers.join(", ")}.` : "", notes.join(" "));
    } catch (error) {
      if (turn === asked) say("", error.message);
    }
  }

  function choose(list) {
    const images = [...list].filter((file) => file.type.startsWith("image/"));
    if (!images.length) return say("", "This is not an image; choose JPEG, PNG or WebP.");
    leftOut = [...list].filter((file) => !images.includes(file)).map(({ name }) => name);
    const left = leftOut;
    forget();
    leftOut = left;
    chosen = images.map((file) => ({ file, name: file.name, url: URL.createObjectURL(file) }));
    return show();
  }

  function forget() {
    for (const { url } of chosen) if (url) URL.revokeObjectURL(url);
    [chosen, leftOut] = [[], []];
  }

  /** Asks for what stands in the text box, or in the form of columns. */
  function submit() {
    const kind = known.has(model.value) && rows.kindOf(known.get(model.value).input);
    if (kind !== "text" && kind !== "row") return start();
    const row = kind === "text" ? text.value : readRow();
    const named = kind === "text" ? row.trim().replace(/\s+/g, " ") : rows.caption(row);
    chosen = [{ name: named.length > 120 ? `${named.slice(0, 119)}…` : named, row }];
    leftOut = [];
    return show();
  }

  /** Shows the form that fits what a model reads; what was asked of another kind is forgotten. */
  function offerForm(input) {
    const kind = rows.kindOf(input);
    const before = Object.keys(FIELDS).find((one) => !FIELDS[one].hidden);
    if (kind !== before || kind === "row") forget();
    for (const [one, field] of Object.entries(FIELDS)) field.hidden = one !== kind;
    const example = input.row.examples?.[0];
    if (kind === "row") readRow = rows.fill(element("columns"), input.row);
    element("row-example").hidden = kind !== "row" || !example;
    element("text-example").hidden = typeof example !== "string";
  }

  async function changeModel() {
    const name = model.value;
    asked++;
    say("Loading …", "", { busy: true });
    try {
      const told = await knownOf(name);
      if (name !== model.value) return;
      ask.elements.rule.value = told.rule;
      offerForm(told.input);
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
      const { models, failed = [] } = await fetched("api/v1/models");
      element("key-field").hidden = !key.value;
      model.replaceChildren(...models.map(({ name }) => new Option(name, name)));
      const reasons = clean(failed).map(({ name, reason }) => {
        const item = document.createElement("li");
        item.textContent = `${name} cannot be loaded: ${reason}`;
        return item;
      });
      element("failed").replaceChildren(...reasons);
      element("failed").hidden = !reasons.length;
      await changeModel();
    } catch (error) {
      say("", error.message);
    }
  }

  ask.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  element("text-example").addEventListener("click", () => {
    text.value = known.get(model.value).input.row.examples[0];
    submit();
  });
  element("row-example").addEventListener("click", () => {
    readRow = rows.fill(element("columns"), known.get(model.value).input.row);
    submit();
  });
  for (const one of [element("top"), element("attribution")]) one.addEventListener("change", show);
  key.addEventListener("change", start);
  model.addEventListener("change", changeModel);
  for (const one of ask.elements.rule) one.addEventListener("change", show);
  files.addEventListener("change", () => { choose(files.files); files.value = ""; });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length && !drop.hidden) choose(event.clipboardData.files);
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
    if (event.dataTransfer?.files.length && !drop.hidden) choose(event.dataTransfer.files);
  });
  start();
})();
