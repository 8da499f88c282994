// What a model reads, as a form: images, a text, or the columns of a row, as its JSON Schema says.
"use strict";

const rows = (() => {
  /** "image", "text", "row", or "array", which the page cannot send. */
  function kindOf({ images, row }) {
    if (images) return "image";
    if (row.type === "object") return "row";
    return [row, ...(row.anyOf ?? [])].some((one) => one.type === "string") ? "text" : "array";
  }

  const option = (value) => new Option(value === null ? "(missing)" : String(value), JSON.stringify(value));

  /** The control of a column, with a function that gives its value. */
  function control(name, schema, example) {
    const types = [schema.type ?? []].flat();
    const choices = schema.enum ?? (types.includes("boolean") ? [true, false] : null);
    if (choices) {
      const select = document.createElement("select");
      if (types.includes("null")) choices.push(null);
      select.append(...choices.map(option));
      if (example !== undefined) select.value = JSON.stringify(example);
      return { element: select, value: () => JSON.parse(select.value) };
    }
    const input = document.createElement("input");
    const isNumber = types.includes("number") || types.includes("integer");
    if (isNumber) Object.assign(input, { type: "number", step: types.includes("integer") ? "1" : "any" });
    if (schema.examples) {
      const list = document.createElement("datalist");
      list.id = `of-${name}`;
      list.append(...schema.examples.map((one) => new Option(one)));
      input.setAttribute("list", list.id);
      input.after(list);
    }
    input.value = example ?? "";
    const value = () => {
      const text = input.value;
      if (text === "" && !types.includes("string")) return null;
      // Of a column of which nothing is known, what looks like a number is one.
      const guessed = !types.length && !schema.examples && Number.isFinite(Number(text));
      return isNumber || guessed ? Number(text) : text;
    };
    return { element: input, value };
  }

  /** Fills an element with a control a column; gives a function that reads the row. */
  function fill(element, schema) {
    const example = schema.examples?.[0] ?? {};
    const controls = Object.entries(schema.properties).map(([name, of]) => {
      const one = control(name, of, example[name]);
      const label = document.createElement("label");
      const title = document.createElement("bdi");
      title.textContent = name;
      label.append(title, one.element);
      return { name, label, value: one.value };
    });
    element.replaceChildren(...controls.map(({ label }) => label));
    return () => Object.fromEntries(controls.map(({ name, value }) => [name, value()]));
  }

  const caption = (row) => Object.entries(row).map(([name, value]) => `${name} = ${value}`).join(", ");
  return { kindOf, fill, caption };
})();
