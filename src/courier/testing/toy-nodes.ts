// What a toy PuppetDB has of nodes, as far as the sync asks for it: it keeps commands, and answers
// the sync's own queries from them.

type Row = { certname: string; producer_timestamp: string; hash: string } & Record<string, unknown>;

const ENTITY_OF: Record<string, string> = {
  replace_catalog: "catalogs",
  replace_facts: "factsets",
  replace_catalog_inputs: "catalog_inputs",
  store_report: "reports",
};

export class ToyNodes {
  readonly #rows = new Map<string, Map<string, Row>>();

  /** Keeps a command's body; one of another kind changes nothing. */
  take(command: string, body: string): void {
    const entity = ENTITY_OF[command];
    if (entity === undefined) return;
    const parsed = JSON.parse(body) as Row;
    const hash = `${entity} ${parsed.certname} ${parsed.producer_timestamp}`;
    const rows = this.#rows.get(entity) ?? new Map<string, Row>();
    this.#rows.set(entity, rows);
    rows.set(entity === "reports" ? hash : parsed.certname, { ...parsed, hash });
  }

  /** All that it has, in order. */
  list(): string[] {
    const all = [...this.#rows.values()].flatMap((rows) => [...rows.values()]);
    return all.map(({ hash }) => hash).toSorted();
  }

  /** The answer to a query; `path` with what follows the question mark. */
  answer(path: string, body: string): object[] {
    const url = new URL(path, "http://toy");
    if (url.pathname.endsWith("/nodes")) {
      const certnames = [...this.#rows.values()].flatMap((rows) =>
        [...rows.values()].map(({ certname }) => certname),
      );
      return [...new Set(certnames)].map((certname) => ({
        certname,
        deactivated: null,
        expired: null,
      }));
    }
    const text = url.searchParams.get("query") ?? body;
    const entity = /"from","([a-z_]+)"/.exec(text)?.[1] ?? "factsets";
    const rows = [...(this.#rows.get(entity)?.values() ?? [])].filter(withinOf(text));
    if (text.includes('"count"')) return [{ count: rows.length }];
    const names = /"array",(\[[^\]]*\])/.exec(text)?.[1];
    if (names === undefined) return rows;
    const wanted = new Set(JSON.parse(names) as string[]);
    const key = entity === "reports" ? "hash" : "certname";
    const none = { data: null };
    const parts = { facts: none, edges: none, resources: none, metrics: none, logs: none };
    return rows
      .filter((row) => wanted.has(row[key]))
      .map((row) => ({ ...row, ...parts, resource_events: none }));
  }
}

/** Whether a row lies in the window of a query, if that has one. */
function withinOf(text: string): (row: Row) => boolean {
  const from = /">=","producer_timestamp","([^"]+)"/.exec(text)?.[1] ?? "";
  const to = /"<","producer_timestamp","([^"]+)"/.exec(text)?.[1] ?? "9";
  return ({ producer_timestamp: at }) => at >= from && at < to;
}
