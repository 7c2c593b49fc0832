// A table that can be read aloud, and that scrolls by itself where the screen is narrow.

import type { ComponentChildren } from "preact";

export interface Row {
  key: string;
  cells: readonly ComponentChildren[];
}

export function Table(props: {
  caption: string;
  head: readonly string[];
  rows: readonly Row[];
  /** What stands in place of rows where there are none. */
  none?: string;
}) {
  const { caption, head, rows, none = "None." } = props;
  if (rows.length === 0) {
    return (
      <p>
        <strong>{caption}:</strong> {none}
      </p>
    );
  }
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {head.map((title, column) => (
              <th scope="col" key={column}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells: [first, ...rest] }) => (
            <tr key={key}>
              <th scope="row">{first}</th>
              {rest.map((cell, column) => (
                <td key={column}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
