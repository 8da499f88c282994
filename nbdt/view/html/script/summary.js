// What was predicted, in words, and the buttons to choose a sample.
//
// Every view keeps to one scheme: it is built once, and update() draws what `state` says.

function summaryOf(state, actions) {
  const element = make("section", { class: "summary", "aria-label": "Prediction" });
  const node = (id, name) => link(name, () => actions.select(id));
  function update() {
    const { explanation: said } = state.reading;
    if (!said) return element.remove();
    const stopped = said.stopped_at !== null;
    const image = state.data.images?.[state.sample];
    const caption = state.data.captions?.[state.sample];
    const closest = said.path.reduce((a, b) => ((b.margin ?? Infinity) < (a.margin ?? Infinity) ? b : a));
    const rival = closest.children
      .map((child, i) => [closest.probabilities[i], closest.children_names[i], child])
      .filter(([, , child]) => child !== closest.child)
      .reduce((a, b) => (b[0] > a[0] ? b : a));
    element.replaceChildren(...[
      image && make("img", { src: image, alt: caption || "the image that was classified" }),
      make("div", {},
        caption && make("p", { class: "caption" }, bdi(caption)),
        make("p", { class: "answer" },
          stopped ? "Stopped at " : "Predicted ",
          make("strong", {}, node(said.answer, said.answer_name)), " ",
          make("span", { class: "number" }, percent(said.answer_probability))),
        make("p", {},
          stopped && ["Too unsure to go on to ", node(said.prediction, said.prediction_name),
            ` (${percent(said.probability)}). `],
          said.agrees ? "The network agrees. "
            : ["The network by itself says ",
              node(said.network_prediction, said.network_prediction_name), ". "],
          said.guarantee !== null && "At least "
            + `${+(100 * said.guarantee).toPrecision(4)} % of such answers hold the true class, on `
            + "average, if samples are drawn like those of calibration."),
        make("p", {}, "Runner-up: ", node(said.runner_up, said.runner_up_name),
          ` (${percent(said.runner_up_probability)}); the two part at `,
          node(said.parts_at, said.parts_at_name), "."),
        make("p", {}, closest.contrary ? "Taken against the odds: " : "Closest decision: ",
          node(closest.child, closest.child_name), ` (${percent(closest.probability)}) over `,
          node(rival[2], rival[1]), ` (${percent(rival[0])}) at `,
          node(closest.node, closest.node_name), ".")),
    ].filter(Boolean));
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
      image && make("img", { src: image, alt: "", loading: "lazy" }),
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
