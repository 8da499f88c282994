// What was predicted, in words, and the buttons to choose a sample.
//
// Every view keeps to one scheme: it is built once, and update() draws what `state` says.

function summaryOf(state, actions) {
  const element = make("section", { class: "summary", "aria-label": "Prediction" });
  const node = (id, name) => link(name, () => actions.select(id));
  const sure = (id, name, share) => [node(id, name), ` (${percent(share)})`];

  function update() {
    const { explanation: said } = state.reading;
    if (!said) return element.remove();
    const image = state.data.images?.[state.sample];
    const caption = state.data.captions?.[state.sample];
    const sample = state.data.samples?.[state.sample];
    element.replaceChildren(...[
      image && picture(image, caption || "the image that was classified"),
      make("div", {},
        caption && make("p", { class: "caption" }, bdi(caption)),
        sample && sampleOf(sample),
        make("p", { class: "answer" },
          said.stopped_at === null ? "Predicted " : "Stopped at ",
          make("strong", {}, node(said.answer, said.answer_name)), " ",
          make("span", { class: "number" }, percent(said.answer_probability))),
        sentences(said).filter(Boolean).map((sentence) => make("p", {}, sentence))),
    ].filter(Boolean));
  }

  /** What Explanation.to_text in nbdt/explain says after the answer, but for the path. */
  function sentences(said) {
    const network = node(said.network_prediction, said.network_prediction_name);
    const [closest, rival] = closestOf(said);
    const taken = sure(closest.child, closest.child_name, closest.probability);
    const other = sure(...rival);
    const where = node(closest.node, closest.node_name);
    const alone = said.path.length === 1;
    const others = closest.children.length - 2;
    const more = others > 0 && ` and ${others} more`;
    return [
      said.stopped_at !== null
        ? ["Too unsure to go on to ", sure(said.prediction, said.prediction_name, said.probability),
          "; the network says ", network, "."]
        : said.agrees ? "The network agrees." : ["The network says ", network, "."],
      said.guarantee !== null && `At least ${+(100 * said.guarantee).toPrecision(10)} % of such answers `
        + "hold the true class, on average, if samples are drawn like the calibration samples.",
      alone && closest.contrary
        ? ["One decision: ", taken, " against ", other, more, ", as no class there is as likely."]
        : alone ? ["One decision: ", taken, " over ", other, more, "."]
        : closest.contrary
          ? ["At ", where, " it takes ", taken, " against ", other, ", as the whole path is likelier."]
          : ["Closest decision: ", taken, " over ", other, " at ", where, "."],
      !(alone && rival[0] === said.runner_up)
        && ["Runner-up: ", sure(said.runner_up, said.runner_up_name, said.runner_up_probability),
          "; the paths diverge at ", node(said.diverges_at, said.diverges_at_name), "."],
    ];
  }

  /** The decision with the smallest margin, and the likeliest child there that it did not take. */
  function closestOf(said) {
    const closest = said.path.reduce((a, b) =>
      ((b.margin ?? Infinity) < (a.margin ?? Infinity) ? b : a));
    const rival = closest.children
      .map((child, i) => [child, closest.children_names[i], closest.probabilities[i]])
      .filter(([child]) => child !== closest.child)
      .reduce((a, b) => (b[2] > a[2] ? b : a));
    return [closest, rival];
  }
  return { element, update };
}

/** One button a sample; absent where there is nothing to choose. */
function samplesOf(state, actions) {
  const samples = state.data.explanations ?? [];
  if (samples.length < 2) return null;
  const buttons = samples.map((said, i) => {
    const image = state.data.images?.[i];
    return button([
      image && picture(image, ""),
      make("span", {}, state.data.captions?.[i]
        ? bdi(state.data.captions[i]) : `Sample ${i + 1}`, make("small", {}, bdi(said.answer_name))),
    ], () => actions.show(i));
  });
  const element = make("nav", { class: "samples", "aria-label": "Samples" }, buttons);
  function update() {
    buttons.forEach((one, i) => one.setAttribute("aria-pressed", i === state.sample));
  }
  return { element, update };
}
