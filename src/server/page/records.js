// The box for questions: KQL goes to POST /query with the admin token, and what is answered becomes a table. The token is
// kept for this tab alone, and sent in a head, to this process.
import { $, harmless, make, setText, shown, told, words } from "/page/elements.js";

const ANSWERED_WITHIN_MS = 60_000, DOCUMENT_LENGTH_MAX = 100_000;

// --- The token ------------------------------------------------------------------------------------------------------
const KEY = "inferlog-token";
const token = {
  value: null,
  get() { try { return this.value ?? sessionStorage.getItem(KEY); } catch { return this.value; } },
  set(value) { this.value = value; try { sessionStorage.setItem(KEY, value); } catch { /* It is kept as long as the page is. */ } },
  drop() { this.value = null; try { sessionStorage.removeItem(KEY); } catch { /* It was never kept. */ } },
};
// Out of the address, so that it is in no history and in nothing that is copied from there.
const takeFromAddress = () => {
  if (!location.hash.startsWith("#token=")) return;
  token.set(location.hash.slice("#token=".length).trim());
  history.replaceState(null, "", location.pathname + location.search);
};
takeFromAddress();
addEventListener("hashchange", () => { takeFromAddress(); showToken(); });
const showToken = () => { $("token-form").hidden = Boolean(token.get()); };

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set($("token").value.trim());
  $("token").value = "";
  showToken();
  clear();
  $("kql").focus();
});

// --- What can be asked -------------------------------------------------------------------------------------------------
let drawn = "";
const kinds = new Map();

// What has to be known of the process: whether it may be asked, and where its pipelines keep their records.
export const showRecords = (status) => {
  const off = status.records_off;
  $("records").hidden = false;
  $("records-on").hidden = Boolean(off);
  $("records-off").hidden = !off;
  setText($("records-off"), off ? words(off) : "");
  showToken();
  const known = JSON.stringify(status.pipelines.map(({ name, sinks }) => [name, sinks.map(({ kind }) => kind)]));
  if (known === drawn) return;
  drawn = known;
  const chosen = $("pipeline").value;
  kinds.clear();
  status.pipelines.forEach(({ name, sinks }) => kinds.set(name, sinks.map(({ kind }) => kind)));
  $("pipeline").replaceChildren(...status.pipelines.map(({ name }) => make("option", { value: name }, shown(name))));
  const keeps = [...kinds].find(([, kinds]) => kinds.includes("store"))?.[0];
  $("pipeline").value = kinds.has(chosen) ? chosen : keeps ?? status.pipelines[0]?.name ?? "";
  $("pipeline-field").hidden = status.pipelines.length < 2;
  showElsewhere();
};

// A pipeline without a store has its records elsewhere: an empty table would say that there are none.
const showElsewhere = () => {
  const name = $("pipeline").value, its = kinds.get(name) || [];
  const isElsewhere = its.length > 0 && !its.includes("store") && !its.includes(null);
  $("elsewhere").hidden = !isElsewhere;
  $("ask-button").disabled = $("csv").disabled = isElsewhere;
  if (!isElsewhere) return;
  clear();
  $("elsewhere").replaceChildren(...(its.includes("elasticsearch")
    ? ["This pipeline ships into Elasticsearch, and keeps no records here: look for them in Kibana, or in a terminal with ",
      make("code", {}, `inferlog query --pipeline ${shown(name)}`), "."]
    : ["This pipeline keeps no records: what reads its standard output has them. ", make("code", {}, "sink: store"), " keeps them."]));
};
$("pipeline").addEventListener("change", showElsewhere);
$("range").addEventListener("change", () => { $("between").hidden = $("range").value !== "between"; });

const question = (format) => {
  const asked = { pipeline: $("pipeline").value, kql: $("kql").value, format }, range = $("range").value;
  if (range !== "ever" && range !== "between") asked.last = range;
  if (range === "between") {
    for (const name of ["from", "to"]) if ($(name).value.trim()) asked[name] = $(name).value.trim();
  }
  return asked;
};

// --- Asking ---------------------------------------------------------------------------------------------------------------
let running = null;

const clear = () => {
  $("ask-error").hidden = true;
  $("ask-error").replaceChildren();
  $("kql").removeAttribute("aria-invalid");
  $("verdict").replaceChildren();
  $("answer").replaceChildren();
  $("notes").replaceChildren();
  setText($("count"), "");
};

const fail = (problem, hint) => {
  const error = $("ask-error");
  error.hidden = false;
  // The lines of a problem are those of KQL, with a caret below the place.
  error.replaceChildren(make("pre", {}, problem.split("\n").map((line) => words(line)).join("\n")), ...(hint ? [make("p", { class: "quiet" }, words(hint))] : []));
};

const refused = async (answer) => {
  const told = await answer.json().catch(() => ({ problem: `the process answered ${answer.status}` }));
  // Where the token is stands below its field.
  fail(told.problem, answer.status === 401 ? null : told.hint);
  if (answer.status === 401) {
    token.drop();
    showToken();
    $("token").focus();
  }
  if (told.position_characters === null || told.position_characters === undefined) return;
  const kql = $("kql"), place = [...kql.value].slice(0, told.position_characters).join("").length;
  kql.setAttribute("aria-invalid", "true");
  kql.focus();
  kql.setSelectionRange(place, place + 1);
};

const ask = async (format, show) => {
  if (!token.get()) {
    showToken();
    $("token").focus();
    return;
  }
  clear();
  running = new AbortController();
  $("records").setAttribute("aria-busy", "true");
  setText($("ask-button"), "Stop");
  setText($("count"), "Asking …");
  try {
    const answer = await fetch("/query", {
      method: "POST", cache: "no-store", credentials: "omit", body: JSON.stringify(question(format)),
      headers: { "content-type": "application/json", authorization: `Bearer ${token.get()}` },
      signal: AbortSignal.any([running.signal, AbortSignal.timeout(ANSWERED_WITHIN_MS)]),
    });
    setText($("count"), "");
    if (answer.ok) await show(answer);
    else await refused(answer);
  } catch (error) {
    setText($("count"), "");
    fail(error.name === "AbortError" ? "The question was stopped." : `The process does not answer: ${error.message}`, null);
  }
  running = null;
  $("records").removeAttribute("aria-busy");
  setText($("ask-button"), "Ask");
};
const stop = () => running?.abort();

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) stop();
  else if (!$("ask-button").disabled) ask("json", async (answer) => showAnswer(await answer.json()));
});
$("csv").addEventListener("click", () => { if (!running) ask("csv", save); });

// --- What is answered -------------------------------------------------------------------------------------------------------
const VERDICTS = { complete: ["good", "complete"], incomplete: ["warn", "not complete"], unknown: ["unknown", "it is not known whether this is complete"] };
const CUTS = {
  rows: "There may be more: these are as many records as one answer has, the newest ones.",
  bytes: "There may be more: these are as many records as fit into one answer, the newest ones.",
  seconds: "There may be more: these are the records that were found in time, the newest ones.",
};
const NARROW = " Narrow the question or its time.", MORE = " The CSV has more of them.";

const verdict = (name, cut, lines, more) => {
  const [kind, text] = VERDICTS[name] || VERDICTS.unknown;
  const [through, ...gaps] = lines;
  // «complete through …» says it all; that something is missing stands before that.
  const head = kind === "warn" || !through ? [make("b", {}, text), through ? `: ${words(through)}` : null] : [make("b", {}, words(through))];
  $("verdict").replaceChildren(
    make("div", { class: `verdict ${kind}` }, head,
      gaps.length ? make("ul", {}, gaps.map((gap) => make("li", {}, words(gap)))) : null),
    ...(cut ? [make("div", { class: "verdict warn" }, make("b", {}, "not all"), `: ${CUTS[cut] || CUTS.rows}${more}`)] : []));
};

const showAnswer = (answer) => {
  const { completeness, words: [summary, ...notes] } = answer;
  verdict(completeness.verdict, answer.cut, completeness.words, (answer.cut === "rows" ? MORE : "") + NARROW);
  setText($("count"), `${words(summary)} (${answer.milliseconds} ms)`);
  $("notes").replaceChildren(...notes.map((note) => make("li", {}, words(note))));
  if (answer.rows.length) $("answer").replaceChildren(table(answer));
};

const save = async (answer) => {
  const head = (name) => answer.headers.get(`inferlog-${name}`);
  const text = await answer.blob(), cut = head("cut") === "no" ? null : head("cut"), count = head("rows");
  verdict(head("completeness"), cut, [], NARROW);
  const address = URL.createObjectURL(text), time = new Date().toISOString().slice(0, 19).replaceAll(":", "");
  make("a", { href: address, download: `${$("pipeline").value}-${time}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  setText($("count"), `${count} ${count === "1" ? "record is" : "records are"} in the CSV.`);
};

const isNumber = (text) => text === "" || (text.trim() !== "" && Number.isFinite(Number(text)));
const table = ({ columns, rows }) => {
  const kind = columns.map((_, place) => (rows.every(({ cells }) => isNumber(cells[place])) && rows.some(({ cells }) => cells[place]) ? "number" : null));
  const row = ({ cells, document }, place) => {
    const open = make("button", { type: "button", class: "open", "aria-expanded": "false", tabindex: place ? "-1" : "0" }, told(cells[0] || "(open)"));
    const element = make("tr", {}, make("th", { scope: "row" }, open), cells.slice(1).map((cell, place) => make("td", { class: kind[place + 1] }, told(cell))));
    element.document = document;
    return element;
  };
  const body = make("tbody", {}, rows.map(row));
  body.addEventListener("click", ({ target }) => {
    const row = target.closest("tr");
    if (row?.document !== undefined && (target.closest("button") || getSelection().isCollapsed)) toggle(row, columns.length);
  });
  body.addEventListener("keydown", (event) => move(event, body));
  return make("div", { class: "scroll answer", tabindex: "0", role: "region", "aria-label": "Records, one a line; Enter opens one" },
    make("table", {}, make("thead", {}, make("tr", {}, columns.map((column, place) => make("th", { scope: "col", class: kind[place] }, told(column))))), body));
};

// One row is met by the Tab key, and the arrow keys go from there.
const move = (event, body) => {
  const all = [...body.querySelectorAll("button.open")], here = all.indexOf(document.activeElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (here < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[here].tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
};

const toggle = (row, columns) => {
  const open = row.querySelector("button"), isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) return row.nextElementSibling.remove();
  return row.after(make("tr", { class: "document" }, make("td", { colspan: columns }, make("pre", { tabindex: "0", "aria-label": "The document" }, laidOut(row.document)))));
};

// A line a member; what stands in it stays as it is, digits and escapes too.
const laidOut = (json) => {
  const cut = json.slice(0, DOCUMENT_LENGTH_MAX), lines = [];
  let line = "", depth = 0, inText = false, isEscaped = false;
  const next = () => { lines.push(line); line = "  ".repeat(depth); };
  for (const c of cut) {
    if (inText) {
      line += c;
      inText = isEscaped || c !== '"';
      isEscaped = !isEscaped && c === "\\";
    } else if (c === "{" || c === "[") {
      line += c;
      depth += 1;
      next();
    } else if (c === "}" || c === "]") {
      depth = Math.max(0, depth - 1);
      if (/[{[]$/.test(lines.at(-1) ?? "") && line.trim() === "") line = lines.pop();
      else next();
      line += c;
    } else if (c === ",") {
      line += c;
      next();
    } else if (!/\s/.test(c)) {
      line += c === ":" ? ": " : c;
      inText = c === '"';
    }
  }
  lines.push(line);
  const left = json.length - cut.length;
  return lines.map(harmless).join("\n") + (left ? `\n… ${left} further characters: \`inferlog query --format json\` has all of them` : "");
};

// Escape: what is open is closed, else what is asked is stopped.
$("records").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const here = document.activeElement.closest("tr"), last = [...$("answer").querySelectorAll("tr.document")].pop();
  const opened = here?.matches(".document") ? here : here?.nextElementSibling?.matches(".document") ? here.nextElementSibling : last;
  if (opened) {
    const row = opened.previousElementSibling;
    toggle(row);
    row.querySelector("button").focus();
  } else {
    stop();
  }
});
