// A line for each puppetserver over the last minutes. The table beside it has the same figures for
// who can't see it; lines differ by their dashes too.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { localTime } from "../format.ts";
import type { Sample } from "../live.ts";

const HEIGHT = 180;
const COLOURS = ["#2b7bb9", "#c2571a", "#2f8f4e", "#8a4fb5", "#b3406b", "#6b7a12"];
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

export function Chart(props: {
  title: string;
  samples: readonly Sample[];
  names: readonly string[];
  pick: (of: { perS: number; busy: number; waiting: number }) => number;
}) {
  const { title, samples, names, pick } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const data = dataOf(samples, names, pick);
  const all = names.join("\n");
  useEffect(() => {
    const { current } = place;
    if (current === null) return;
    const made = new uPlot(optionsOf(names, current), data, current);
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
  useEffect(() => plot.current?.setData(data), [samples]);
  const last = samples.at(-1)?.of;
  const now = names.map((name) => {
    const figures = last?.get(name);
    return `${name} ${figures === undefined ? "unknown" : round(pick(figures))}`;
  });
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={`${title}, now: ${now.join(", ")}`} />
    </figure>
  );
}

function dataOf(
  samples: readonly Sample[],
  names: readonly string[],
  pick: (of: { perS: number; busy: number; waiting: number }) => number,
): uPlot.AlignedData {
  const times = samples.map(({ atMs }) => atMs / 1000);
  const lines = names.map((name) =>
    samples.map(({ of }) => {
      const figures = of.get(name);
      return figures === undefined ? null : pick(figures);
    }),
  );
  return [times, ...lines];
}

function optionsOf(names: readonly string[], place: HTMLElement): uPlot.Options {
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

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
