import { parser } from '@prometheus-io/lezer-promql';

/** A metric that a query selects, with every label that the query expects of it. */
export type Selected = { readonly metric: string; readonly labels: readonly string[] };

/** What a PromQL expression selects: by Prometheus' own grammar. Labels to group by count for what lies inside. */
export function selectionsOf(expression: string): Selected[] {
  const selected: { metric: string; labels: string[]; at: number }[] = [];
  const groupings: { labels: string[]; from: number; to: number }[] = [];
  const text = (node: { from: number; to: number }): string => expression.slice(node.from, node.to);
  parser.parse(expression).iterate({
    enter: (node) => {
      if (node.type.isError) throw new Error(`not PromQL at ${node.from}: ${expression}`);
      if (node.name === 'VectorSelector') {
        const identifier = node.node.getChild('Identifier');
        const matchers = node.node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
        const labels = matchers
          .map((matcher) => matcher.getChild('LabelName'))
          .flatMap((name) => (name === null ? [] : [text(name)]));
        if (identifier === null) throw new Error(`a selector without a metric: ${text(node)}`);
        selected.push({ metric: text(identifier), labels, at: node.from });
      }
      if (node.name === 'AggregateExpr') {
        const names =
          node.node.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName') ?? [];
        groupings.push({ labels: names.map(text), from: node.from, to: node.to });
      }
    },
  });
  return selected.map(({ metric, labels, at }) => ({
    metric,
    labels: [
      ...labels,
      ...groupings.filter(({ from, to }) => from <= at && at < to).flatMap((grouping) => grouping.labels),
    ],
  }));
}

/** The metrics in Prometheus' text format, each with all labels that it shows. */
export function shownMetrics(text: string): Map<string, Set<string>> {
  const shown = new Map<string, Set<string>>();
  for (const [, name = '', inside = ''] of text.matchAll(/^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$/gm)) {
    const labels = shown.get(name) ?? new Set();
    for (const [, label = ''] of inside.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"/g)) labels.add(label);
    shown.set(name, labels);
  }
  return shown;
}
