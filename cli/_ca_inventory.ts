/** `ca issue --inventory`: what a file lists, compared with what the hosts hold. */

import type { HostOptions, InventoryRow, IssueContext, IssueOutcome, PlanItem } from "../ca/mod.ts";
import { issuedJson, sayHostNotes } from "./_ca_issued.ts";
import type { Input } from "./_command.ts";
import { line, say, sayError } from "./_output.ts";
import { progressBar } from "./_progress.ts";

/** Issues what differs, or says what that would be; gives the exit code. */
export async function issueInventory(
  input: Input,
  defaults: Omit<HostOptions, "host">,
  context: () => Promise<IssueContext>,
): Promise<number> {
  const { planIssue, readInventory } = await import("../ca/mod.ts");
  const rows = await readInventory(input.get("inventory")!, defaults);
  const good = rows.filter((row) => row.ok);
  const places = new Map(good.map((row) => [row.request.host.text, row.where]));
  const plan = planIssue(good.map((row) => row.request), { dir: input.get("dir")! });
  const report = new Report(input.on("json"), places);
  for (const row of rows) if (!row.ok) report.refuse(row);
  const wanted: PlanItem[] = [];
  for (const item of plan) {
    if (item.action === "issue") wanted.push(item);
    else report.skip(item);
  }
  if (input.on("dry-run")) {
    for (const item of wanted) report.plan(item);
    report.sayEnd("to issue");
  } else {
    for (const [i, outcome] of (await issue(wanted, context)).entries()) {
      report.end(outcome, wanted[i]!);
    }
    report.sayEnd("issued");
  }
  return report.failed > 0 ? 1 : 0;
}

async function issue(
  wanted: readonly PlanItem[],
  context: () => Promise<IssueContext>,
): Promise<readonly IssueOutcome[]> {
  if (wanted.length === 0) return [];
  const { issueEach } = await import("../ca/mod.ts");
  const opened = await context();
  using bar = progressBar(wanted.length);
  return await issueEach(wanted.map((item) => item.request), opened, bar.update);
}

/** What is printed of each row, and how many there are of each kind. */
class Report {
  failed = 0;
  #kept = 0;
  #done = 0;

  constructor(
    private readonly isJson: boolean,
    private readonly places: ReadonlyMap<string, string>,
  ) {}

  refuse({ where, error }: Extract<InventoryRow, { readonly ok: false }>): void {
    this.failed++;
    if (this.isJson) this.#json({ where, action: "refuse", error: error.message });
    sayError(where, error);
  }

  skip({ host, action, reasons }: PlanItem): void {
    if (action === "refuse") {
      this.failed++;
      const hint = `take it out, or give it a new set by name: deno task ca issue ${host}`;
      say(`error: ${this.places.get(host)}: ${host}: ${reasons.join(", ")}`, hint);
    } else this.#kept++;
    if (this.isJson) this.#json({ host, where: this.places.get(host), action, reasons });
  }

  plan({ host, reasons }: PlanItem): void {
    this.#done++;
    const where = this.places.get(host);
    if (this.isJson) this.#json({ host, where, action: "issue", reasons });
    else console.log(line(`issue ${host}: ${reasons.join(", ")}`));
  }

  end(outcome: IssueOutcome, { host, reasons }: PlanItem): void {
    const where = this.places.get(host)!;
    if (!outcome.ok) return this.refuse({ ok: false, where, error: outcome.error });
    this.#done++;
    const { issued } = outcome;
    if (this.isJson) this.#json({ where, action: "issued", reasons, ...issuedJson(issued) });
    else console.log(line(`issued ${host}: ${reasons.join(", ")}`));
    sayHostNotes(issued);
  }

  sayEnd(done: string): void {
    const failed = this.failed === 0 ? "" : `, ${this.failed} refused`;
    say(`${this.#done} ${done}, ${this.#kept} unchanged${failed}`);
  }

  #json(row: Record<string, unknown>): void {
    console.log(JSON.stringify(row));
  }
}
