// The tree as flat arrays, and what an explanation says of its nodes.

/** The tree as flat arrays, since 40,000 objects would take most of the time to open. */
function treeOf({ parents, names, attributes = {} }) {
  const total = parents.length;
  const root = total - 1;
  const childStart = new Int32Array(total + 1);
  for (const parent of parents) if (parent >= 0) childStart[parent + 1] += 1;
  for (let v = 0; v < total; v++) childStart[v + 1] += childStart[v];
  const childIds = new Int32Array(root);
  const next = childStart.slice();
  for (let v = 0; v < root; v++) childIds[next[parents[v]]++] = v;

  const depth = new Int32Array(total); // edges up to the root
  const size = new Int32Array(total); // classes under the node
  const start = new Int32Array(total); // where they begin in `leaves`
  const leaves = []; // the classes from left to right
  const preorder = new Int32Array(total);
  const stack = [root];
  for (let place = 0; stack.length; place++) {
    const v = stack.pop();
    preorder[place] = v;
    start[v] = leaves.length;
    if (childStart[v] === childStart[v + 1]) leaves.push(v);
    for (let i = childStart[v + 1] - 1; i >= childStart[v]; i--) {
      depth[childIds[i]] = depth[v] + 1;
      stack.push(childIds[i]);
    }
  }
  for (let place = total - 1; place >= 0; place--) {
    const v = preorder[place];
    if (childStart[v] === childStart[v + 1]) size[v] = 1;
    if (v !== root) size[parents[v]] += size[v];
  }
  const tree = {
    root, total, parents, depth, size, start, leaves,
    height: depth.reduce((most, one) => Math.max(most, one), 0),
    children: (v) => childIds.subarray(childStart[v], childStart[v + 1]),
    isLeaf: (v) => childStart[v] === childStart[v + 1],
    name: (v) => names[v] || `node ${v}`,
    about: (v) => attributes[v] ?? {},
    holds: (v, below) => start[v] <= start[below] && start[below] < start[v] + size[v]
      && depth[v] <= depth[below],
    path(v) {
      const up = [];
      for (; v >= 0; v = parents[v]) up.push(v);
      return up.reverse();
    },
  };
  return tree;
}

/** What one explanation says of single nodes; without one, nothing. */
function readingOf(tree, explanation) {
  const reading = {
    explanation,
    path: [tree.root], // the nodes from the root to the predicted class
    role: new Map(), // node of the path → "taken", or "beyond" an answer that is no class
    share: new Map(), // node → its probability among its siblings
    reach: new Map(), // node → the product of the decisions down to it
    decision: new Map(), // node → the decision made there
    tags: new Map(), // node → what it is in this explanation
  };
  if (!explanation) return reading;
  let product = 1;
  reading.reach.set(tree.root, 1);
  for (const decision of explanation.path) {
    reading.decision.set(decision.node, decision);
    decision.children.forEach((child, i) => {
      reading.share.set(child, decision.probabilities[i]);
      reading.reach.set(child, product * decision.probabilities[i]);
    });
    product *= decision.probability;
    reading.path.push(decision.child);
  }
  const answered = reading.path.indexOf(explanation.answer);
  reading.path.forEach((v, i) => reading.role.set(v, i <= answered ? "taken" : "beyond"));
  const { prediction, runner_up, network_prediction, stopped_at } = explanation;
  const tag = (node, text) =>
    reading.tags.set(node, [...(reading.tags.get(node) ?? []), text]);
  if (stopped_at !== null) tag(stopped_at, "answer");
  tag(prediction, stopped_at === null ? "predicted" : "most likely class");
  tag(runner_up, "runner-up");
  if (network_prediction !== prediction) tag(network_prediction, "network’s own");
  return reading;
}
