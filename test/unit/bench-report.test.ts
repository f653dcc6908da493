import { describe, expect, it } from 'vitest';
import { quantile, summarize } from '../../bench/measure.ts';
import { picture } from '../../bench/picture.ts';
import { figure, footer, tableRow } from '../../bench/report.ts';
import { type Cell, Row } from '../../bench/row.ts';

const columns = { names: ['kubelette', 'bare CRI', 'kubelet', 'Compose'], absent: new Map([['kubelet', 'no binary']]) };

const chain = (): Row =>
  new Row(
    'a <chain>',
    'ms',
    new Map<string, Cell>([
      ['bare CRI', summarize([400, 500, 300])],
      ['kubelette', summarize([290, 310, 300])],
      ['Compose', 'failed: no daemon'],
      ['kubelet', 'no binary'],
    ]),
  );

describe('goals', () => {
  it('are judged by medians, and not at all without a figure', () => {
    const row = chain()
      .atMostTimes(0.75, 'bare CRI')
      .atMostTimes(0.7, 'bare CRI')
      .atMostAbove(-100, 'bare CRI')
      .atMostAbove(-101, 'bare CRI')
      .atMostTimes(0.1, 'kubelet')
      .atMostTimes(0.1, 'Compose')
      .atMost(299);
    expect(row.goals.map(({ isMet }) => isMet)).toEqual([true, false, true, false, undefined, undefined, false]);
  });

  it('are beyond reach where they are missed and the floor is above them', () => {
    const floor = { what: 'the calls alone', value: 280 };
    const row = chain()
      .atMostTimes(0.75, 'bare CRI', floor)
      .atMostTimes(0.7, 'bare CRI', floor)
      .atMostTimes(0.69, 'bare CRI', floor);
    expect(row.goals).toEqual([
      { text: '<= 0.75 x bare CRI', isMet: true },
      { text: '<= 0.7 x bare CRI', isMet: false },
      { text: '<= 0.69 x bare CRI', isMet: false, beyond: 'the calls alone: 0.70 x' },
    ]);
    expect(tableRow(row, columns, true)).toContain('<= 0.69 x bare CRI: beyond reach (the calls alone: 0.70 x)');
    expect(footer([row], columns, true)).toContain('1 met, 1 missed, 1 beyond');
  });
});

describe('figures', () => {
  it('have three digits that count', () => {
    expect([1234.5, 99.96, 12.34, 1.234, 0.04321].map(figure)).toEqual(['1235', '100.0', '12.3', '1.23', '0.043']);
  });

  it('of a quantile are samples', () => {
    const samples = [5, 1, 4, 2, 3];
    expect([0, 0.5, 0.8, 0.99, 1].map((q) => quantile(samples, q))).toEqual([1, 3, 4, 5, 5]);
  });
});

describe('the table', () => {
  it('has a column for everybody', () => {
    const [figures, ratios, goals] = tableRow(chain().atMostTimes(0.1, 'kubelet'), columns, true).split('\n');
    expect(figures?.split(/ {2,}/)).toEqual([
      'a <chain> [ms]',
      '300 (290 - 310)',
      '400 (300 - 500)',
      'not measured',
      'not measured',
    ]);
    expect(ratios?.trim().split(/ {2,}/)).toEqual(['kubelette is', '0.75 x']);
    expect(goals?.trim()).toBe('goal <= 0.1 x kubelet: not judged');
  });

  it('ends with why figures are missing', () => {
    const row = chain().atMostTimes(0.75, 'bare CRI').atMostTimes(0.1, 'kubelet').atMost(1);
    expect(footer([row], columns, true).split('\n')).toEqual([
      'kubelet is not measured: no binary',
      '- Compose: failed: no daemon (a <chain>)',
      'goals: 1 met, 1 missed, 0 beyond what anybody could reach here, 1 not judged for want of a figure',
    ]);
  });
});

describe('the picture', () => {
  it('draws bars in proportion, and escapes words', () => {
    const svg = picture([chain().atMost(1), Row.ofOurs('alone', 'MB', 7)], 'a machine', columns);
    const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)" height="14" rx="2" class="(\w+)"/g)];
    expect(widths.map(([, width, kind]) => [Number(width), kind])).toEqual([
      [390, 'ours'],
      [520, 'other'],
    ]);
    expect(svg).toContain('a &lt;chain&gt;');
    expect(svg).toContain('7.00 MB');
  });
});
