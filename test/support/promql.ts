import { parser } from '@prometheus-io/lezer-promql';

/** A metric that a query selects, with every label that the query expects of it. */
export type Selected = { readonly metric: string; readonly labels: readonly string[] };

/** Part of an expression. */
type Span = { readonly from: number; readonly to: number };
/** Labels that an aggregation groups by. */
type Grouping = Span & { readonly labels: readonly string[] };
/** A label that `label_replace` makes, of another one. */
type Replacement = Span & { readonly made: string; readonly source: string };

const isWithin = (inner: Span, outer: Span): boolean => outer.from <= inner.from && inner.to <= outer.to;

/**
 * What a PromQL expression selects: by Prometheus' own grammar. Labels to group by count for what lies inside; one that
 * `label_replace` makes counts as the label that it is made of.
 */
export function selectionsOf(expression: string): Selected[] {
  const selected: (Span & { metric: string; labels: string[] })[] = [];
  const groupings: Grouping[] = [];
  const replacements: Replacement[] = [];
  const text = ({ from, to }: Span): string => expression.slice(from, to);
  parser.parse(expression).iterate({
    enter: ({ type, name, node, from, to }) => {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
      if (name === 'VectorSelector') {
        const identifier = node.getChild('Identifier');
        const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
        const labels = matchers
          .map((matcher) => matcher.getChild('LabelName'))
          .flatMap((label) => (label === null ? [] : [text(label)]));
        if (identifier === null) throw new Error(`a selector without a metric: ${text(node)}`);
        selected.push({ metric: text(identifier), labels, from, to });
      }
      if (name === 'AggregateExpr') {
        const labels = node.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName') ?? [];
        groupings.push({ labels: labels.map(text), from, to });
      }
      if (name === 'FunctionCall' && node.getChild('FunctionIdentifier')?.getChild('LabelReplace')) {
        const literals = node.getChild('FunctionCallBody')?.getChildren('StringLiteral') ?? [];
        const [made = '', , source = ''] = literals.map((literal) => text(literal).slice(1, -1));
        replacements.push({ made, source, from, to });
      }
    },
  });
  return selected.map(({ metric, labels, ...selector }) => {
    const grouped = groupings
      .filter((grouping) => isWithin(selector, grouping))
      .flatMap((grouping) => {
        const between = replacements.filter((one) => isWithin(selector, one) && isWithin(one, grouping));
        return grouping.labels.map((label) => between.find(({ made }) => made === label)?.source ?? label);
      });
    return { metric, labels: [...labels, ...grouped] };
  });
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
