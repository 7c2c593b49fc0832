// What a toy PuppetDB answers to the queries that couriers make themselves.

export interface ToyContent {
  has: { active: number; deactivated: number; exported: number; catalogs: number };
  /** When it got anything of a node, by certname. */
  heard: Record<string, string>;
}

/** As the courier asks for them. */
const COUNTED: Record<string, keyof ToyContent["has"]> = {
  '"nodes","active"': "active",
  '"nodes","any"': "deactivated",
  '"resources"': "exported",
  '"catalogs","any"': "catalogs",
};

/** The rows of one of the courier's own queries. */
export function toyRows(query: string, { has, heard }: ToyContent): object[] {
  if (query.includes('"facts_timestamp"')) {
    const none = { catalog_timestamp: null, report_timestamp: null };
    return Object.entries(heard).map(([certname, at]) => ({
      certname,
      facts_timestamp: at,
      ...none,
    }));
  }
  if (query.includes('"max"')) {
    const [, certname = ""] = /"certname","([^"]*)"/.exec(query) ?? [];
    return [{ max: heard[certname] ?? null }];
  }
  const words = query.match(/"(?:nodes|resources|catalogs|active|any)"/g)?.join(",") ?? "";
  const count = has[COUNTED[words] ?? "active"];
  if (!query.includes('"limit"')) return [{ count }];
  return count === 0 ? [] : [{ producer_timestamp: "2026-11-20T09:00:00.000Z" }];
}
