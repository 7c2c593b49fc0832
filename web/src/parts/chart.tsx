// Lines over time. A table beside it has the same figures for who can't see it; lines differ by
// their dashes too.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { localTime } from "../format.ts";

const HEIGHT = 180;
const COLOURS = ["#2b7bb9", "#c2571a", "#2f8f4e", "#8a4fb5", "#b3406b", "#6b7a12"];
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

export interface Line {
  name: string;
  /** One for each time; null: not known. */
  values: readonly (number | null)[];
}

export function Chart(props: {
  title: string;
  /** Milliseconds since the epoch. */
  times: readonly number[];
  lines: readonly Line[];
  /** What who can't see it is told instead. */
  label: string;
  /** Whether a line goes on over what isn't known. */
  bridges?: boolean;
}) {
  const { title, times, lines, label, bridges = false } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const names = lines.map(({ name }) => name);
  const all = names.join("\n");
  const data = [
    times.map((atMs) => atMs / 1000),
    ...lines.map(({ values }) => [...values]),
  ] as uPlot.AlignedData;
  useEffect(() => {
    const { current } = place;
    if (current === null) return;
    const made = new uPlot(optionsOf(names, current, bridges), data, current);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      made.setSize({ width: widthOf(current), height: HEIGHT });
    });
    watch.observe(current);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [all]);
  useEffect(() => plot.current?.setData(data), [times]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={label} />
    </figure>
  );
}

function optionsOf(names: readonly string[], place: HTMLElement, bridges: boolean): uPlot.Options {
  const ink = getComputedStyle(place).color;
  const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8884" } };
  return {
    width: widthOf(place),
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, _min, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      { ...axis, space: 90, values: (_, times) => times.map(clock) },
      { ...axis, size: 40 },
    ],
    series: [
      { label: "Time", value: (_, time) => (time === null ? "-" : clock(time)) },
      ...names.map((name, index) => ({
        label: name,
        stroke: COLOURS[index % COLOURS.length] ?? ink,
        dash: DASHES[index % DASHES.length] ?? [],
        width: 2,
        points: { show: false },
        spanGaps: bridges,
        value: (_: uPlot, value: number | null) => (value === null ? "-" : round(value)),
      })),
    ],
  };
}

/** "13:05:09" */
function clock(second: number): string {
  return localTime(second * 1000).slice(11);
}

function widthOf(place: HTMLElement): number {
  return Math.max(200, place.clientWidth);
}

/** A figure as charts write it. */
export function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
