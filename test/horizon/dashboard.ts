// A user at the dashboard, in a browser: opens pages, presses what is on them, waits for what they then show. It waits for
// elements and never for a time, and knows no page in particular.
//
// Horizon asks for the row of what is in a passing state by itself, every few seconds: waitForRow() sees what a user sees.

import { join } from "node:path";
import type { BrowserContext, Locator, Page } from "playwright-core";
import { type Dialog, awaitDialog } from "./dialog.ts";
import { saidOn } from "./messages.ts";

export interface DashboardUser {
  readonly name: string;
  readonly password: string;
}

/** The page's part of its own, and dialogs over it. */
const shown = "body:not(.modal-open) #main_content, .modal.in";

/** For what the service does meanwhile, such as to upload an image. */
const jobTimeoutMs = 120_000;

export class Dashboard {
  readonly page: Page;
  readonly #url: string;
  readonly #shots: string | undefined;
  #shotPrefix = "";
  #shotCount = 0;
  #troubles: string[] = [];

  /** `shots`: the directory of the screenshots, if any shall be taken. */
  constructor(page: Page, url: string, shots: string | undefined) {
    this.page = page;
    this.#url = url;
    this.#shots = shots;
    page.on("pageerror", (error) => this.#troubles.push(`a script failed: ${error.message}`));
    page.on("response", (response) => {
      // That is how Horizon learns that what a row stands for is gone.
      if (response.status() === 404 && response.url().includes("action=row_update")) return;
      if (response.status() >= 400) this.#troubles.push(`${response.status()} ${response.request().method()} ${response.url()}`);
    });
  }

  async signIn({ name, password }: DashboardUser): Promise<void> {
    await this.page.goto(`${this.#url}/auth/login/`);
    await this.page.fill("#id_username", name);
    await this.page.fill("#id_password", password);
    await this.page.click("#loginBtn");
    await this.page.locator("#main_content").waitFor();
  }

  /** Opens a page of the dashboard; rejects when it shows an error. */
  async open(path: string): Promise<void> {
    await this.page.goto(this.#url + path);
    await this.page.locator("#main_content").waitFor();
    await this.mustBeWell();
  }

  /** A tab of the page that is open. */
  async openTab(title: string): Promise<void> {
    await this.page.locator("#main_content .nav-tabs a", { hasText: title }).click();
    await this.page.locator("#main_content .tab-pane.active").waitFor();
    await this.page.locator("#main_content .tab-pane.active .fa-spin, .modal.loading").waitFor({ state: "detached" });
    await this.mustBeWell();
  }

  /** Presses an action of the page, or of the table in a dialog, that opens a dialog. */
  press(label: string): Promise<Dialog> {
    const action = this.page.locator(`:is(${shown}) :is(.table_actions, .actions_column, .page-header) ${exactly(label)}`);
    return awaitDialog(this.page, () => action.filter({ visible: true }).first().click());
  }

  /** Chooses an action of a row that opens a dialog. */
  async act(row: string, label: string): Promise<Dialog> {
    const action = await this.#action(row, label);
    return awaitDialog(this.page, () => action.click());
  }

  /** Marks a row for an action of several. */
  async mark(row: string): Promise<void> {
    // The label that Horizon draws the mark on has no size.
    await this.row(row).locator(".multi_select_column .themable-checkbox label").dispatchEvent("click");
  }

  /** Narrows the table of that name down to rows that show `text`. */
  async filter(table: string, text: string): Promise<void> {
    await this.page.locator(`input[name^="${table}__filter"]`).pressSequentially(text);
  }

  /** Has the service look for rows, where the table leaves that to it. */
  async ask(field: string, text: string): Promise<void> {
    const search = this.page.locator(".table_search");
    await search.locator("button.dropdown-toggle").click();
    await search.locator(".dropdown-menu a", { hasText: field }).click();
    await search.locator('input[type="text"], input[type="search"]').first().fill(text);
    await this.#leave(search.locator('button[type="submit"]'));
  }

  /** The table's next page or the one before. */
  async turn(to: "Next" | "Prev"): Promise<void> {
    await this.#leave(this.page.locator("#main_content tfoot a", { hasText: to }));
  }

  /** What the row's menu offers. */
  async actionsOf(row: string): Promise<string[]> {
    const labels = await this.row(row).locator(".actions_column .data-table-action").allTextContents();
    return labels.map((label) => label.trim());
  }

  /** The row of a table that shows `text`. */
  row(text: string): Locator {
    return this.page.locator(`:is(${shown}) tbody tr:not(.empty)`, { hasText: text }).first();
  }

  /** Waits until the row of `text` shows `more` too. */
  async waitForRow(text: string, more: string): Promise<void> {
    const row = this.page.locator(`:is(${shown}) tbody tr`, { hasText: text }).filter({ hasText: more });
    await row.first().waitFor({ timeout: jobTimeoutMs });
  }

  async waitForNoRow(text: string): Promise<void> {
    const row = this.page.locator(`:is(${shown}) tbody tr`, { hasText: text });
    await row.first().waitFor({ state: "detached", timeout: jobTimeoutMs });
  }

  /** Waits until the page shows `text`. */
  async waitForText(text: string): Promise<void> {
    await this.page.locator("#main_content").getByText(text).first().waitFor();
  }

  /** Takes a screenshot, when there is a directory for them. */
  async shoot(name: string): Promise<void> {
    if (this.#shots === undefined) return;
    const number = String(++this.#shotCount).padStart(2, "0");
    await this.page.screenshot({ path: join(this.#shots, `${this.#shotPrefix}-${number}-${name}.png`) });
  }

  /** What follows belongs to the scene of that name. */
  begin(scene: string): void {
    this.#shotPrefix = scene.replaceAll(/[^a-z0-9]+/gi, "-");
    this.#shotCount = 0;
    this.#troubles = [];
  }

  /** What went wrong in the browser since begin(). */
  get troubles(): readonly string[] {
    return this.#troubles;
  }

  /** Rejects when the page shows an error. */
  async mustBeWell(): Promise<void> {
    const errors = (await saidOn(this.page)).filter((text) => text.startsWith("Error:"));
    if (errors.length > 0) throw new Error(`${this.page.url()} says ${JSON.stringify(errors)}`);
  }

  /** Clicks on what leads to another page. */
  async #leave(way: Locator): Promise<void> {
    await Promise.all([this.page.waitForEvent("load"), way.click()]);
    await this.mustBeWell();
  }

  async #action(row: string, label: string): Promise<Locator> {
    const column = this.row(row).locator(".actions_column");
    const action = column.locator(exactly(label)).first();
    await action.waitFor({ state: "attached" });
    if (!(await action.isVisible())) await column.locator(".dropdown-toggle").click();
    return action;
  }
}

/** A link or button of just that label. */
function exactly(label: string): string {
  return `:is(a, button):text-is("${label}")`;
}

/** A browser's window in which the user has signed in. */
export async function signIn(context: BrowserContext, url: string, user: DashboardUser, shots?: string): Promise<Dashboard> {
  const page = await context.newPage();
  const dashboard = new Dashboard(page, url, shots);
  await dashboard.signIn(user);
  return dashboard;
}
