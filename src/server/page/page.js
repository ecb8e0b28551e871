// The page: asks /status.json once a second and shows it.
import { $, fill, make, setText, shown, told, words } from "/page/elements.js";
import { showRecords } from "/page/records.js";

(() => {
  const ASKED_EVERY_MS = 1000, ANSWERED_WITHIN_MS = 4000, STALE_AFTER_MS = 3500, HOUR_S = 3600;
  const UNKNOWN = "unknown";
  const known = (value, write) => (value === null || value === undefined ? UNKNOWN : write(value));
  const whole = (n) => Math.round(n).toLocaleString("en");
  const brief = (n) => n.toLocaleString("en", { maximumSignificantDigits: n < 1000 ? 3 : 6, maximumFractionDigits: 2 });
  const rate = (n) => (n >= 100 ? whole(n) : brief(n)) + "/s";
  const percent = (n) => (100 * n).toLocaleString("en", { maximumSignificantDigits: n >= 0.1 ? 3 : 2 }) + " %";
  const bytes = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let place = 0;
    while (n >= 1024 && place < units.length - 1) { n /= 1024; place += 1; }
    return `${brief(n)} ${units[place]}`;
  };
  const seconds = (n) => (n < 1 ? `${brief(n * 1000)} ms` : `${brief(n)} s`);
  const span = (n) => {
    if (n < 60) return `${Math.floor(n)} s`;
    if (n < 3600) return `${Math.floor(n / 60)} min`;
    if (n < 86400) return `${Math.floor(n / 3600)} h ${Math.floor(n / 60) % 60} min`;
    return `${Math.floor(n / 86400)} d ${Math.floor(n / 3600) % 24} h`;
  };
  const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

  // --- Charts -------------------------------------------------------------------------------------------------------
  const COLOURS = ["--one", "--two", "--three", "--four", "--five", "--six", "--seven", "--eight"];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = new Set();

  // A figure with a chart, and with its present and highest values in words.
  const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
  const figure = (title, write, incrs) => {
    const note = make("span", { class: "quiet" }), legend = make("ul", { class: "legend" });
    const place = make("div", { class: "chart", role: "img", "aria-label": title });
    const element = make("figure", { class: "panel" }, make("figcaption", {}, make("b", {}, title), note), place, legend);
    const chart = { element, place, plot: null, names: "", data: null };
    const draw = () => {
      const size = { width: Math.max(place.clientWidth, 120), height: 150 };
      const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
      const scale = { range: (_, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.08 : 1] };
      // As long as there are few steps a line alone would hardly be seen, and an axis of seconds would repeat itself.
      const points = { show: (plot) => plot.data[0].length < 30, size: 4 };
      const times = { range: () => { const all = chart.data[0], last = all.at(-1); return [Math.min(all[0], last - 600), last]; } };
      const line = (name, place) => ({ label: shown(name), stroke: colour(COLOURS[place % 8]), width: 1.6, points });
      chart.plot = new uPlot({
        ...size, pxAlign: 0, legend: { show: false }, cursor: { drag: { x: false, y: false } }, padding: [8, 18, 0, 0],
        scales: { x: times, y: scale },
        axes: [{ ...axis, size: 24, values: "{HH}:{mm}" }, { ...axis, size: 62, space: 34, ...(incrs ? { incrs } : {}), values: (_, ticks) => ticks.map(write) }],
        series: [{}, ...JSON.parse(chart.names).map(line)],
      }, chart.data, place);
    };
    chart.again = () => { if (chart.plot) { chart.plot.destroy(); chart.plot = null; } if (chart.data) draw(); };
    place.append(make("p", { class: "quiet" }, "The first step ends within ten seconds."));
    chart.show = (times, series) => {
      if (times.length === 0) return;
      const names = JSON.stringify(series.map(([name]) => name));
      chart.data = [times, ...series.map(([, values]) => values)];
      if (chart.names !== names) {
        chart.names = names;
        if (!chart.plot) place.replaceChildren();
        chart.again();
        legend.replaceChildren(...series.map(([name], place) => make("li", { class: `key c${place % 8}` }, told(name))));
        legend.hidden = series.length < 2;
      } else if (chart.plot) {
        chart.plot.setData(chart.data);
      }
      const last = series.map(([name, values]) => [name, values.at(-1)]);
      const now = last.map(([name, value]) => (series.length > 1 ? `${shown(name)} ` : "") + known(value, write));
      const highest = Math.max(...series.flatMap(([, values]) => values.filter((value) => value !== null)));
      setText(note, Number.isFinite(highest) ? `highest ${write(highest)}` : "no value yet");
      place.setAttribute("aria-label", `${title}, the last hour. Now: ${now.join(", ")}. ${note.textContent}.`);
    };
    charts.add(chart);
    return chart;
  };
  const again = () => charts.forEach((chart) => (chart.element.isConnected ? chart.again() : charts.delete(chart)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(again, 150); });

  // --- The last hour, put together from what each answer adds -------------------------------------------------------------
  class Hour {
    constructor() { this.steps = new Map(); }
    add(last, step, columns) {
      const length = Math.max(0, ...Object.values(columns).map((column) => column.length));
      for (let place = 0; place < length; place += 1) {
        const values = {};
        for (const [name, column] of Object.entries(columns)) values[name] = column[place] ?? null;
        this.steps.set(last - (length - 1 - place) * step, values);
      }
      for (const time of this.steps.keys()) if (time <= last - HOUR_S) this.steps.delete(time);
    }
    times() { return [...this.steps.keys()].sort((one, other) => one - other); }
    column(name, times) { return times.map((time) => this.steps.get(time)?.[name] ?? null); }
  }

  // --- One pipeline ---------------------------------------------------------------------------------------------------
  const STATES = {
    running: ["good", "running"], waiting: ["bad", "waiting"], restarting: ["bad", "restarting"], ended: ["bad", "ended"],
    ready: ["good", "ready"], in_trouble: ["bad", "in trouble"],
  };
  const pill = (state) => make("span", { class: `pill ${(STATES[state] || ["unknown"])[0]}`, "data-state": state }, (STATES[state] || [])[1] || shown(state));

  const table = (label, heads, rows) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, make("tr", {}, heads.map(([head, kind]) => make("th", { scope: "col", class: kind }, head)))),
      make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell, place) =>
        make(place === 0 ? "th" : "td", { scope: place === 0 ? "row" : null, class: heads[place][1] }, cell)))))));
  const empty = (...words) => make("p", { class: "empty" }, ...words);

  const troubles = (pipeline) => {
    const one = (remark) => ({ sink, problem, hint, seconds: since }) => make("div", { class: `trouble${remark ? " remark" : ""}` },
      make("p", {}, make("b", {}, sink ? "Sink " : "", sink ? told(sink) : "", sink ? ": " : ""), make("span", { class: "told" }, words(problem)),
        since > 0 ? make("span", { class: "quiet" }, ` (for ${span(since)})`) : null),
      hint ? make("p", { class: "quiet told" }, words(hint)) : null);
    return [...pipeline.troubles.map(one(false)), ...pipeline.remarks.map(one(true))];
  };

  const sinks = (pipeline) => {
    if (pipeline.sinks.length === 0) return empty("Nothing is known of its sinks: it does not run.");
    const search = { elasticsearch: "Kibana", store: "inferlog query", stdout: "what reads its output" };
    return table("Sinks", [["Sink"], ["State"], ["Taken", "number"], ["Known already", "number"], ["Refused", "number"],
      ["Under way", "number"], ["Answers, half within", "number"], ["99 % within", "number"], ["Search it with"]],
      pipeline.sinks.map((sink) => [
        told(sink.name), pill(sink.state), known(sink.indexed, whole), known(sink.duplicates, whole), known(sink.dead_lettered, whole),
        known(sink.requests_in_flight, (n) => `${n} of ${known(sink.requests_allowed, String)}`),
        sink.requests === 0 ? "none asked" : known(sink.request_p50_seconds, seconds), sink.requests === 0 ? "" : known(sink.request_p99_seconds, seconds),
        make("code", {}, search[sink.kind] || UNKNOWN),
      ]));
  };

  const nameOf = (model) => {
    const labels = Object.entries(model.labels).map(([name, value]) => `${name} ${value}`);
    return [model.name || "(no name)", ...labels].join(", ");
  };

  const shares = (models) => make("ul", { class: "shares", tabindex: "0", "aria-label": "Predictions of the last hour, by label" },
    models.flatMap((model, place) => {
      const counts = model.recent_predictions?.some(([, count]) => count > 0) ? model.recent_predictions : model.predictions;
      const sum = counts.reduce((sum, [, count]) => sum + count, 0) || 1;
      return counts.map(([label, count]) => make("li", { class: `c${place % 8}` }, make("bdi", { title: shown(`${nameOf(model)}: ${label}`) }, shown(label) || "(empty)"),
        make("meter", { min: 0, max: 1, value: count / sum, "aria-label": shown(label) }, percent(count / sum)),
        make("span", { class: "number" }, percent(count / sum))));
    }));

  const versions = (models) => table("Model versions", [["Model"], ["Version"], ["Inferences", "number"], ["Failed", "number"], ["By status"]],
    models.flatMap((model) => model.versions.map((version) => [
      told(nameOf(model)), told(version.version || "(none)"), whole(version.requests),
      version.requests > 0 ? percent(version.errors / version.requests) : "",
      version.requests_by_status.map(([status, count], place) => [place ? ", " : "", told(status || "(none)"), ` ${whole(count)}`]).flat(),
    ])));

  const SVG = "http://www.w3.org/2000/svg";
  // Training in the background, the window in front; the same as a table behind it.
  const histogram = ({ bars, baseline, live }) => {
    const svg = document.createElementNS(SVG, "svg"), high = Math.max(...baseline, ...live, 0.0001), width = 100 / bars.length;
    const set = (element, attributes) => { for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value); return element; };
    set(svg, { class: "histogram", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": "Training beside the last window; the numbers are in the table" });
    bars.forEach((_, place) => [["baseline", baseline, 0.06, 0.88], ["live", live, 0.28, 0.44]].forEach(([kind, values, left, part]) => {
      const height = 30 * values[place] / high;
      svg.append(set(document.createElementNS(SVG, "rect"), { class: kind, x: (place + left) * width, y: 30 - height, width: width * part, height }));
    }));
    const rows = bars.map((bar, place) => make("tr", {}, make("th", { scope: "row" }, told(bar)), make("td", { class: "number" }, percent(baseline[place])), make("td", { class: "number" }, percent(live[place]))));
    return [svg, make("details", {}, make("summary", {}, "numbers"), make("table", {},
      make("thead", {}, make("tr", {}, ["Values", "Training", "Now"].map((head, place) => make("th", { scope: "col", class: place ? "number" : null }, head)))), make("tbody", {}, rows)))];
  };

  const drift = (report) => {
    const name = report.model_name ? `${report.model_name}, ${report.model_version}` : report.model_version || "(no version)";
    const names = { distribution: "distribution", out_of_range: "out of range", unseen: "unseen values", missing: "missing values" };
    const verdict = (feature) => feature.alarm ? make("span", { class: "pill bad" }, "drift")
      : feature.is_small ? make("span", { class: "pill unknown" }, "too few values") : make("span", { class: "pill good" }, "as in training");
    const rows = report.features.map((feature) => [
      told(feature.feature), [verdict(feature), feature.reasons.length ? make("div", { class: "quiet" }, feature.reasons.map((reason) => names[reason] || shown(reason)).join(", ")) : null],
      known(feature.psi, brief), known(feature.psi_by_chance, brief), percent(feature.missing), percent(Math.max(feature.out_of_range, feature.unseen)),
      feature.histogram ? histogram(feature.histogram) : make("span", { class: "quiet" }, "not drawn: too many"),
    ]);
    return make("div", {}, make("p", { class: "quiet" }, told(name), `: ${whole(report.records)} records, ${clock(report.window_start)} to ${clock(report.window_end)}`,
      report.features_left_out ? `; ${whole(report.features_left_out)} further features are not shown` : ""),
      table(`Drift of ${shown(name)}`, [["Feature"], ["Verdict"], ["PSI", "number"], ["by chance", "number"], ["Missing", "number"], ["Outside", "number"], ["Training (wide) and now (narrow)"]], rows));
  };

  const deadLetter = (report) => {
    if (!report) return empty("Unknown: the pipeline has not run.");
    if (report.reasons.length === 0 && report.entries === 0) return empty("Nothing went to the dead letter.");
    return table("Dead letter", [["Reason"], ["Count", "number"], ["Last"], ["What it means, and what to do", "words"]], report.reasons.map((reason) => [
      [told(reason.reason), make("div", { class: "quiet" }, `at ${shown(reason.stage)}`)], whole(reason.count), reason.last ? clock(reason.last) : "before this process",
      [words(reason.meaning), make("div", { class: "quiet" }, words(reason.fix))],
    ]));
  };

  const tile = (name) => {
    const value = make("dd", {}), more = make("dd", { class: "more" });
    return { element: make("div", {}, make("dt", {}, name), value, more), show: (text, also) => { setText(value, text); setText(more, also || ""); } };
  };

  class Pipeline {
    constructor(name, place) {
      this.hour = new Hour();
      this.models = new Map();
      this.histograms = new Map();
      this.tiles = ["Read", "Delivered", "Lag", "Queue", "Dead letter"].map(tile);
      this.throughput = figure("Throughput, lines and records a second", rate);
      this.lag = figure("Lag, bytes written and not delivered", bytes, BINARY_STEPS);
      this.panels = [figure("Request rate", rate), figure("Error rate", percent), figure("Latency, 99 % within", seconds)];
      this.shares = make("figure", { class: "panel" }, make("figcaption", {}, make("b", {}, "Predictions of the last hour")), this.sharesBody = make("div", {}));
      this.parts = Object.fromEntries(["state", "troubles", "sinks", "versions", "drift", "dead"].map((part) => [part, make("div", {})]));
      this.modelsEmpty = empty("This pipeline counts no models: add ", make("code", {}, "observe: [model_metrics]"), " to its file.");
      const id = `pipeline-${place}`, part = (title, ...children) => [make("h3", {}, title), ...children];
      this.element = make("section", { class: "pipeline", id, "aria-labelledby": `${id}-name` },
        make("div", { class: "title" }, make("h2", { id: `${id}-name` }, told(name)), this.parts.state), this.parts.troubles,
        make("dl", { class: "tiles" }, this.tiles.map((tile) => tile.element)),
        part("Last hour", make("div", { class: "panels" }, this.throughput.element, this.lag.element)),
        part("Sinks", this.parts.sinks),
        part("Model health", this.modelsEmpty, this.modelsPanels = make("div", { class: "panels" }, this.panels.map((panel) => panel.element), this.shares), this.parts.versions),
        part("Drift", this.parts.drift), part("Dead letter", this.parts.dead));
      this.parts.versions.className = this.parts.drift.className = "below";
    }

    show(pipeline) {
      const { parts } = this, { rates, lag, queue, totals, dead_letter: dead } = pipeline;
      fill(parts.state, pipeline.state, () => pill(pipeline.state));
      fill(parts.troubles, [pipeline.troubles, pipeline.remarks], () => troubles(pipeline));
      const [read, delivered, behind, waits, buried] = this.tiles;
      read.show(known(rates?.read_lines_per_second, rate), `${known(totals?.lines, whole)} lines committed`);
      delivered.show(known(rates?.delivered_records_per_second, rate), `${known(totals?.delivered, whole)} records`);
      behind.show(known(lag?.bytes, bytes), lag ? `${whole(lag.files)} ${lag.files === 1 ? "file" : "files"}, oldest on its way ${seconds(lag.oldest_unacknowledged_seconds)}` : "");
      waits.show(queue ? percent(queue.bytes / queue.bytes_max) : UNKNOWN, queue ? `${bytes(queue.bytes)} of ${bytes(queue.bytes_max)}` : "");
      buried.show(known(dead?.entries, whole), dead ? `${bytes(dead.bytes)} of ${bytes(dead.bytes_max)}` : "");
      this.remember(pipeline);
      const times = this.hour.times();
      this.throughput.show(times, [["read", this.hour.column("read", times)], ["delivered", this.hour.column("delivered", times)], ["dead letter", this.hour.column("dead", times)]]);
      this.lag.show(times, [["lag", this.hour.column("lag", times)]]);
      fill(parts.sinks, pipeline.sinks, () => sinks(pipeline));
      this.showModels(pipeline.models, times);
      fill(parts.drift, [pipeline.drift, [...this.histograms.keys()]], () => this.drift(pipeline.drift));
      fill(parts.dead, dead, () => deadLetter(dead));
    }

    remember(pipeline) {
      const { history, models, drift } = pipeline;
      if (history && history.last_end !== null) {
        const { step_seconds: step, last_end: last } = history;
        this.hour.add(last, step, { read: history.read_lines_per_second, delivered: history.delivered_records_per_second, dead: history.dead_lettered_per_second, lag: history.lag_bytes });
        this.lastEnd = last;
        for (const model of models || []) {
          const name = nameOf(model);
          if (!model.history) continue;
          if (!this.models.has(name)) this.models.set(name, new Hour());
          const { requests_per_second: requests, error_ratio: errors, latency_p99_seconds: latency } = model.history;
          this.models.get(name).add(last, step, { requests, errors, latency });
        }
      }
      for (const report of drift || []) {
        for (const feature of report.features) {
          const key = `${report.model_name}\n${report.model_version}\n${report.window_end}\n${feature.feature}`;
          if (feature.histogram) this.histograms.set(key, feature.histogram);
          else feature.histogram = this.histograms.get(key);
        }
      }
    }

    showModels(models, times) {
      const some = models && models.length > 0;
      this.modelsEmpty.hidden = Boolean(some);
      this.modelsPanels.hidden = this.parts.versions.hidden = !some;
      if (models && !some) setText(this.modelsEmpty, "No inference was seen yet: a record with a prediction, a confidence or a latency is one.");
      if (!some) return;
      const names = models.map(nameOf).filter((name) => this.models.has(name)).slice(0, 8);
      const of = (column) => names.map((name) => [name, this.models.get(name).column(column, times)]);
      if (names.length > 0) {
        [["requests"], ["errors"], ["latency"]].forEach(([column], place) => this.panels[place].show(times, of(column)));
      }
      fill(this.sharesBody, models.map((model) => [model.recent_predictions, model.predictions]), () => models.some((model) => model.predictions.length)
        ? shares(models.slice(0, 8)) : make("p", { class: "quiet" }, "No label was predicted: the values of a regression or of a generation are on /metrics."));
      fill(this.parts.versions, models.map((model) => model.versions), () => versions(models));
    }

    drift(reports) {
      if (!reports) return empty("This pipeline measures no drift. ", make("code", {}, "inferlog baseline"), " makes a baseline of training data; then add ", make("code", {}, "observe: [{ drift: { baseline: FILE } }]"), " to its file.");
      if (reports.length === 0) return empty("No window has ended yet, or no record in it has a baseline.");
      return reports.map(drift);
    }
  }

  // --- The process ----------------------------------------------------------------------------------------------------
  const pipelines = new Map();
  let process = null, answered = null, drawn = "", windows = "";
  const seen = { updates: 0 };

  const show = (status) => {
    if (process !== status.started) { pipelines.clear(); process = status.started; drawn = ""; }
    setText($("process"), `version ${shown(status.inferlog)}, running for ${span(status.uptime_seconds)}` + (status.log_level ? `, log level ${shown(status.log_level)}` : ""));
    const names = JSON.stringify(status.pipelines.map((pipeline) => pipeline.name));
    if (names !== drawn) {
      drawn = names;
      const wanted = status.pipelines.map(({ name }, place) => pipelines.get(name) || new Pipeline(name, place));
      pipelines.clear();
      status.pipelines.forEach(({ name }, place) => pipelines.set(name, wanted[place]));
      $("pipelines").replaceChildren(...(wanted.length ? wanted.map((pipeline) => pipeline.element) : [empty("No pipeline runs. Start one with ", make("code", {}, "inferlog run FILE"), ".")]));
      $("jump").replaceChildren(...status.pipelines.map(({ name }, place) => make("a", { href: `#${wanted[place].element.id}` }, told(name))));
      $("jump").hidden = wanted.length < 2;
    }
    for (const pipeline of status.pipelines) pipelines.get(pipeline.name).show(pipeline);
    showRecords(status);
    const worst = status.pipelines.filter((pipeline) => pipeline.state !== "running").length;
    document.title = worst ? `(${worst} not ready) inferlog` : "inferlog";
    seen.updates += 1;
    document.body.dataset.updates = seen.updates;
  };

  const age = () => {
    const late = answered === null ? null : Date.now() - answered;
    const isStale = late === null ? seen.failed > 0 : late > STALE_AFTER_MS;
    document.body.classList.toggle("is-stale", isStale && answered !== null);
    const live = $("live");
    live.className = `pill ${isStale ? "bad" : answered === null ? "unknown" : "good"}`;
    setText(live, isStale ? "no answer" : answered === null ? "no answer yet" : "live");
    $("stale").hidden = !isStale;
    if (!isStale) return;
    document.title = "(no answer) inferlog";
    const since = answered === null ? "The process does not answer." : `The process does not answer: what is shown below is from ${clock(answered)}, ${span(late / 1000)} ago, and may no longer be so.`;
    // Said once, not each second, to those who listen.
    setText($("stale"), `${since} Is it still running?`);
  };

  // Histograms are asked for again only when a window has ended.
  const question = () => {
    const ends = [...pipelines.values()].map((pipeline) => pipeline.lastEnd);
    if (process === null || ends.some((end) => end === undefined)) return "/status.json";
    return `/status.json?after=${Math.min(...ends)}&histograms=no`;
  };
  const windowsOf = (status) => JSON.stringify(status.pipelines.map((pipeline) => (pipeline.drift || []).map((report) => [report.model_name, report.model_version, report.window_end])));

  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  };
  const turn = async () => {
    try {
      const path = question();
      let status = await get(path);
      if (path !== "/status.json" && (status.started !== process || windowsOf(status) !== windows)) status = await get("/status.json");
      windows = windowsOf(status);
      answered = Date.now();
      show(status);
    } catch (error) {
      seen.failed = (seen.failed || 0) + 1;
      seen.error = String(error);
    }
    age();
  };
  const turns = async () => {
    for (;;) {
      const begun = performance.now();
      await turn();
      await new Promise((done) => setTimeout(done, Math.max(100, ASKED_EVERY_MS - (performance.now() - begun))));
    }
  };
  setInterval(age, 500);
  turns();
})();
