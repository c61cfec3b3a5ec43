/*
 * The page "Stream tasks" and, since Airflow 3.4, the tab "Stream" of a task instance.
 *
 * Airflow's UI imports this file as it is, and takes the components by their names from globalThis. React and
 * Chakra UI are Airflow's own, so that everything looks as the rest does, in the dark theme as well. The cookie of
 * the UI's login goes along with every call.
 */

const PAUSE = 5000; // milliseconds between two calls, while the page is visible
const PATIENCE = 20000; // milliseconds until an answer must have come
const TYPING = 300; // milliseconds without a key until the filter counts
const FIRST = 100; // waits that are shown at first
const MOST = 1000; // waits that the server hands out at once
const SOON = 60; // seconds before a deadline from which it is red

const h = (...all) => globalThis.React.createElement(...all);
const together = (...children) => h(globalThis.React.Fragment, null, ...children);

/** An answer that is none, with what to do about it. */
class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return an address below the root of Airflow's UI, wherever that is. */
function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

function refusal(status, detail) {
  if (status === 401) return "Your login has ended. Reload the page to log in again.";
  if (status === 403) {
    return "You may not read this. Whoever administers Airflow gives the right to read a DAG, its runs and its task instances.";
  }
  if (status === 404) return `The API server knows nothing of this: ${detail}`;
  return `The API server answered ${status}. Its log says why.`;
}

/** Return the JSON behind an address; undefined if that may be missing and is. */
async function ask(url, signal, { mayBeMissing = false } = {}) {
  const silence = () => {
    throw new Refusal("The API server does not answer. This page goes on asking.");
  };
  const answer = await fetch(url, {
    credentials: "same-origin",
    headers: { Accept: "application/json" },
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
  }).catch(silence);
  if (mayBeMissing && answer.status === 404) return undefined;
  const body = decoded(await answer.text().catch(silence));
  if (answer.ok && body instanceof Object) return body;
  if (answer.ok) {
    throw new Refusal("What came is no answer of Airflow's. If a proxy wants you to log in again, reload the page.");
  }
  const detail = typeof body?.detail === "string" ? body.detail : url.pathname;
  throw new Refusal(refusal(answer.status, detail), answer.status);
}

/**
 * Call again and again what loads something, as long as the page is visible.
 *
 * @param load takes an AbortSignal
 * @param about changes when something else is to be loaded; what was loaded before is then forgotten
 * @return { data, error }: the latest of each; data stays when an error comes after it
 */
function usePolled(load, about) {
  const { useEffect, useRef, useState } = globalThis.React;
  const [state, setState] = useState({ about, data: undefined, error: undefined });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const gone = new AbortController();
    let timer;
    const poll = async () => {
      timer = undefined;
      if (document.visibilityState === "visible") {
        try {
          const data = await latest.current(gone.signal);
          if (!gone.signal.aborted) setState({ about, data, error: undefined });
        } catch (error) {
          if (!gone.signal.aborted) {
            const told = error instanceof Refusal ? error.message : `This page has a fault: ${error}`;
            setState((last) => ({ about, data: last.about === about ? last.data : undefined, error: told }));
          }
        }
      }
      if (!gone.signal.aborted) timer = setTimeout(poll, PAUSE);
    };
    const onVisible = () => {
      if (document.visibilityState === "visible" && timer !== undefined) {
        clearTimeout(timer);
        poll();
      }
    };
    document.addEventListener("visibilitychange", onVisible);
    poll();
    return () => {
      gone.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [about]);
  return state.about === about ? state : { data: undefined, error: undefined };
}

/* ---- in words -------------------------------------------------------------------------------------------- */

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Return a length of time in its two largest units. */
function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const first = UNITS.findIndex(([size]) => left >= size);
  if (first < 0) return "0 s";
  const parts = [];
  for (const [size, unit] of UNITS.slice(first, first + 2)) {
    const number = Math.floor(left / size);
    left -= number * size;
    if (number) parts.push(`${number} ${unit}`);
  }
  return parts.join(" ");
}

const inDigits = (number) => number.toLocaleString("en");
const plural = (number, one) => `${inDigits(number)} ${number === 1 ? one : `${one}s`}`;

const secondsBetween = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;

/** Return which task instances the address of the page asks for. */
function placeOf(search) {
  const given = new URLSearchParams(search);
  const named = ["dag_id", "run_id", "task_id", "map_index"].map((name) => [name, given.get(name) ?? undefined]);
  return Object.fromEntries(named);
}

const isWhole = (place) => Boolean(place.dag_id && place.run_id && place.task_id);
const inLoop = (place) => place.region_id !== undefined && place.region_id !== null;
const isMapped = (place) => place.map_index !== undefined && Number(place.map_index) >= 0;

function nameOf(place) {
  if (inLoop(place)) return `${place.task_id} (iteration ${place.region_index})`;
  return isMapped(place) ? `${place.task_id} [${place.map_index}]` : place.task_id;
}

/** Return the address of a task instance in Airflow's UI. */
function instanceAddress(place) {
  const run = `dags/${encodeURIComponent(place.dag_id)}/runs/${encodeURIComponent(place.run_id)}`;
  const mapped = isMapped(place) && !inLoop(place) ? `/mapped/${place.map_index}` : "";
  return address(
    `${run}/tasks/${encodeURIComponent(place.task_id)}${mapped}`,
    inLoop(place) ? { region_id: place.region_id, region_index: place.region_index } : {},
  ).href;
}

/* ---- parts ----------------------------------------------------------------------------------------------- */

function Notice({ status, title, children }) {
  const { Alert } = globalThis.ChakraUI;
  return h(
    Alert.Root,
    { status, my: 3 },
    h(Alert.Indicator),
    h(Alert.Content, null, h(Alert.Title, null, title), children && h(Alert.Description, null, children)),
  );
}

function Link({ href, children }) {
  return h(globalThis.ChakraUI.Link, { color: "fg.info", href }, children);
}

function Moment({ at, children, color }) {
  return h(globalThis.ChakraUI.Text, { as: "span", color, title: at, whiteSpace: "nowrap" }, children);
}

function Deadline({ wait, now }) {
  if (!wait.deadline) return "none";
  const left = secondsBetween(now, wait.deadline);
  if (left < 0) return h(Moment, { at: wait.deadline, color: "fg.error" }, `passed ${duration(-left)} ago`);
  return h(Moment, { at: wait.deadline, color: left < SOON ? "fg.error" : undefined }, `in ${duration(left)}`);
}

function Ids({ wait }) {
  const { Code, Text } = globalThis.ChakraUI;
  if (wait.ids_from) {
    const { task_id: from, key } = wait.ids_from;
    return `as the XCom ${key} of ${from} names them`;
  }
  const count = wait.stream_task_count;
  if (count === null) return "cannot be read: the log of the API server says why";
  const ids = wait.stream_task_ids;
  return together(
    count > 1 && h(Text, { as: "span", fontWeight: "bold" }, `${inDigits(count)}: `),
    ids.flatMap((id, place) => [place ? ", " : "", h(Code, { key: id, whiteSpace: "nowrap" }, id)]),
    count > ids.length && ` and ${inDigits(count - ids.length)} more`,
  );
}

function Triggerer({ triggerer }) {
  if (!triggerer) return h(globalThis.ChakraUI.Text, { as: "span", color: "fg.warning" }, "none yet");
  return h("span", { title: `job ${triggerer.id}` }, triggerer.hostname ?? `job ${triggerer.id}`);
}

/** What Stream said last, and when; a wait younger than a minute has no record of it. */
function Progress({ progress, now }) {
  const { Text } = globalThis.ChakraUI;
  if (!progress) return h(Text, { as: "span", color: "fg.muted" }, "not recorded yet");
  const { status, said_at: at, stream_tasks: all, finished, failed, errors_since: silent } = progress;
  return together(
    at ? h(Moment, { at }, `${status}, ${duration(secondsBetween(at, now))} ago`) : "nothing yet",
    all > 1 && `; ${inDigits(finished)} of ${inDigits(all)} finished`,
    failed > 0 && h(Text, { as: "span", color: "fg.error" }, `, ${inDigits(failed)} failed`),
    silent && h(Text, { as: "span", color: "fg.warning" }, `; only errors for ${duration(secondsBetween(silent, now))}`),
  );
}

function Grid({ names, children, ...how }) {
  const { Table } = globalThis.ChakraUI;
  return h(
    Table.Root,
    { size: "sm", ...how },
    h(Table.Header, null, h(Table.Row, null, names.map((name) => h(Table.ColumnHeader, { key: name }, name)))),
    h(Table.Body, null, children),
  );
}

const COLUMNS = [
  ["DAG", (wait) => h(Link, { href: address(`dags/${encodeURIComponent(wait.dag_id)}`).href }, wait.dag_id)],
  ["Run", (wait) => wait.run_id],
  ["Airflow task", (wait) => h(Link, { href: instanceAddress(wait) }, nameOf(wait))],
  ["Stream tasks", (wait) => h(Ids, { wait })],
  ["Stream said", (wait, now) => h(Progress, { progress: wait.progress, now })],
  ["Waiting for", (wait, now) => h(Moment, { at: wait.since }, duration(secondsBetween(wait.since, now)))],
  ["Deadline", (wait, now) => h(Deadline, { wait, now })],
  ["Connection", (wait) => wait.stream_conn_id ?? ""],
  ["Triggerer", (wait) => h(Triggerer, { triggerer: wait.triggerer })],
];

function Waits({ waits, now }) {
  const { Box, Table } = globalThis.ChakraUI;
  const row = (wait) => [wait.dag_id, wait.run_id, wait.task_id, wait.map_index, wait.region_index].join("\n");
  return h(
    Box,
    { overflowX: "auto" },
    h(
      Grid,
      { names: COLUMNS.map(([name]) => name), striped: true },
      waits.map((wait) =>
        h(
          Table.Row,
          { key: row(wait), "data-testid": "wait" },
          COLUMNS.map(([name, cell]) => h(Table.Cell, { key: name }, cell(wait, now))),
        ),
      ),
    ),
  );
}

/** What every view has around it: the theme, the heading, the time, what went wrong, and the wheel that turns. */
function View({ title, state, filter, children }) {
  const { Box, ChakraProvider, Heading, HStack, Spinner, Text } = globalThis.ChakraUI;
  const asOf = state.data?.as_of;
  return h(
    ChakraProvider,
    { value: globalThis.ChakraUISystem },
    h(
      Box,
      { color: "fg", overflowY: "auto", p: 4, "data-testid": "stream-tasks" },
      h(
        HStack,
        { justify: "space-between", mb: 2 },
        h(Heading, { size: "lg" }, title),
        asOf && h(Text, { color: "fg.muted", title: asOf }, `as of ${new Date(asOf).toLocaleTimeString()}`),
      ),
      filter,
      state.error && h(Notice, { status: "error", title: state.error }),
      state.data ? children(state.data) : !state.error && h(Spinner, { "aria-label": "loading" }),
    ),
  );
}

/** Keeps a fault of ours inside our own page: Airflow 3.4 would show nothing at all instead. */
function guarded(Component) {
  const { Component: Base } = globalThis.React;
  return class extends Base {
    state = { fault: undefined };

    static getDerivedStateFromError(fault) {
      return { fault };
    }

    render() {
      const { fault } = this.state;
      return fault ? h("p", { role: "alert" }, `This view has a fault: ${fault}`) : h(Component, this.props);
    }
  };
}

/* ---- the page -------------------------------------------------------------------------------------------- */

const NOTHING =
  "An Airflow task stands here while it is deferred until Stream has finished. Sensors with mode poke or reschedule, " +
  "and operators without deferrable=True, wait on workers and are not listed.";

function Page() {
  const place = placeOf(globalThis.location.search);
  if (!isWhole(place)) return h(AllWaits, { place });
  const filter = h(
    globalThis.ChakraUI.Text,
    { mb: 3 },
    h(Link, { href: instanceAddress(place) }, `${place.dag_id}, ${place.run_id}, ${nameOf(place)}`),
    " · ",
    h(Link, { href: address("plugin/stream-tasks").href }, "All waits"),
  );
  return h(OneInstance, { filter, place, title: "Stream tasks" });
}

function AllWaits({ place }) {
  const { useEffect, useState } = globalThis.React;
  const { Button, HStack, Input, Text } = globalThis.ChakraUI;
  const [typed, setTyped] = useState("");
  const [text, setText] = useState("");
  const [limit, setLimit] = useState(FIRST);
  useEffect(() => {
    const timer = setTimeout(() => setText(typed), TYPING);
    return () => clearTimeout(timer);
  }, [typed]);
  const url = address("streamtasks/waits", { ...place, text, limit });
  const state = usePolled((signal) => ask(url, signal), url.href);

  const table = ({ waits, total, as_of: now }) => {
    if (!waits.length) {
      return text || place.dag_id
        ? h(Notice, { status: "info", title: "No wait matches." }, "Those that ended are in the lists of Airflow tasks.")
        : h(Notice, { status: "info", title: "No Airflow task is waiting for Stream." }, NOTHING);
    }
    const more = total - waits.length;
    return together(
      h(Text, { color: "fg.muted", mb: 2 }, plural(total, "wait")),
      h(Waits, { waits, now }),
      more > 0 &&
        h(
          HStack,
          { mt: 3 },
          h(Text, { "data-testid": "more" }, `and ${inDigits(more)} more, whose deadlines are later.`),
          limit < MOST
            ? h(Button, { onClick: () => setLimit(MOST), size: "xs", variant: "outline" }, "Show more")
            : h(Text, null, "Narrow them by a part of an id."),
        ),
    );
  };
  const filter = h(Input, {
    "aria-label": "Part of a DAG, run or task id",
    maxW: "30em",
    mb: 3,
    onChange: (event) => setTyped(event.target.value),
    placeholder: "Part of a DAG, run or task id",
    size: "sm",
    value: typed,
  });
  return h(View, { filter, state, title: "Stream tasks" }, table);
}

/* ---- one task instance ----------------------------------------------------------------------------------- */

/** Load what Airflow knows of a task instance and Stream. */
async function loadInstance(place, signal) {
  const dag = encodeURIComponent(place.dag_id);
  const run = encodeURIComponent(place.run_id);
  const base = `api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${encodeURIComponent(place.task_id)}`;
  const where = inLoop(place)
    ? { region_id: place.region_id, region_index: place.region_index }
    : { map_index: place.map_index ?? -1 };
  const get = (path, query = {}) =>
    ask(address(`${base}${path}`, { ...query, ...where }), signal, { mayBeMissing: true });
  let xcomsHidden = false;
  const xcom = async (key) => {
    try {
      return (await get(`/xcomEntries/${key}`, { deserialize: false }))?.value;
    } catch (error) {
      if (error.status !== 403) throw error;
      xcomsHidden = true; // a role may read task instances and no XComs
      return undefined;
    }
  };
  const waiting = { ...place, region_id: undefined, region_index: undefined, limit: MOST };
  const [listed, ids, failed, store] = await Promise.all([
    ask(address("streamtasks/waits", waiting), signal),
    xcom("task_ids"),
    xcom("failed_items"),
    get("/state-store", { limit: 1000 }), // there is none before Airflow 3.3
  ]);
  const stored = store?.task_state_store ?? [];
  const here = (wait) => !inLoop(place) || wait.region_index === Number(place.region_index);
  return {
    as_of: listed.as_of,
    waits: listed.waits.filter(here),
    ids: asList(ids),
    failed: asObject(failed),
    batches: batchesOf(stored),
    onWorker: stored.filter(({ key }) => key.startsWith("stream_progress_")).map(({ value }) => asObject(value)),
    xcomsHidden,
  };
}

function decoded(value) {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

const asList = (value) => {
  const found = decoded(value);
  return Array.isArray(found) ? found : found ? [found] : [];
};

const asObject = (value) => {
  const found = decoded(value);
  return found && typeof found === "object" && !Array.isArray(found) ? found : {};
};

const SUBMISSION = /^stream_submission_(.*)_(\d+)_(\d+)$/;

/** Return the batches of the latest life of a task instance: clearing it has begun a new life. */
function batchesOf(entries) {
  const chunks = entries
    .map(({ key, value }) => ({ found: SUBMISSION.exec(key), value }))
    .filter(({ found, value }) => found && Array.isArray(value))
    .map(({ found, value }) => ({ life: Number(found[2]), place: Number(found[3]), value }));
  const latest = Math.max(...chunks.map(({ life }) => life));
  return chunks
    .filter(({ life }) => life === latest)
    .sort((one, other) => one.place - other.place)
    .flatMap(({ value }) => value);
}

const STATES = [
  ["accepted", "accepted", undefined, "Stream has them."],
  ["failed", "failed", "fg.error", "A retry submits them anew; clearing the Airflow task submits everything anew."],
  [
    "uncertain",
    "uncertain",
    "fg.warning",
    "Stream may have accepted them, and they are not sent again: check at Stream whether the work was done. " +
      'on_ambiguous="resubmit" sends them again.',
  ],
  ["sending", "under way", undefined, "Or the worker died while it sent them: then a retry calls them uncertain."],
];

function Batches({ batches }) {
  const { Table } = globalThis.ChakraUI;
  const rows = STATES.map(([state, name, color, advice]) => {
    const those = batches.filter((batch) => batch.state === state);
    return { name, color, advice, count: those.length, items: those.reduce((sum, { size }) => sum + size, 0) };
  }).filter(({ count }) => count);
  return h(
    Grid,
    { names: ["Batches", "Number", "Items", "What to do"], my: 3 },
    rows.map(({ name, color, count, items, advice }) =>
      h(
        Table.Row,
        { key: name, "data-testid": `batches-${name}` },
        h(Table.Cell, { color }, name),
        h(Table.Cell, null, inDigits(count)),
        h(Table.Cell, null, inDigits(items)),
        h(Table.Cell, null, advice),
      ),
    ),
  );
}

function Failed({ failed }) {
  const { Code } = globalThis.ChakraUI;
  const items = Object.entries(failed);
  const shown = items.slice(0, 20);
  return h(
    Notice,
    { status: "warning", title: `${plural(items.length, "item")} failed inside. Stream did the rest.` },
    shown.map(([item, why]) => h("div", { key: item }, h(Code, null, item), ` ${String(why)}`)),
    items.length > shown.length && `and ${inDigits(items.length - shown.length)} more, in the XCom failed_items.`,
  );
}

function OneInstance({ place, title, filter }) {
  const { Code, Text } = globalThis.ChakraUI;
  const state = usePolled((signal) => loadInstance(place, signal), JSON.stringify(place));
  const body = ({ as_of: now, waits, ids, failed, batches, onWorker, xcomsHidden }) => {
    const nothing = !waits.length && !ids.length && !batches.length && !Object.keys(failed).length;
    return together(
      waits.length
        ? h(Waits, { waits, now })
        : onWorker.length
          ? h(
              Notice,
              { status: "info", title: "It waits for Stream on a worker, by its last record." },
              onWorker.map((progress, i) => h("div", { key: i }, "Stream said: ", h(Progress, { progress, now }))),
            )
          : h(
              Notice,
              { status: "info", title: "It is not waiting for Stream in the triggerer now." },
              nothing && "It has submitted nothing, or has ended: its log says which Stream tasks it waited for.",
            ),
      xcomsHidden &&
        h(
          Notice,
          { status: "warning", title: "You may not read XComs." },
          "So the items that failed inside, and the ids of all Stream tasks, are not shown.",
        ),
      batches.length > 0 && h(Batches, { batches }),
      Object.keys(failed).length > 0 && h(Failed, { failed }),
      ids.length > 0 &&
        h(
          Text,
          { my: 3, "data-testid": "stream-task-ids" },
          `${plural(ids.length, "Stream task")}: `,
          ids.slice(0, 20).flatMap((id, i) => [i ? ", " : "", h(Code, { key: id }, id)]),
          ids.length > 20 && ` and ${inDigits(ids.length - 20)} more, in the XCom task_ids`,
        ),
    );
  };
  return h(View, { filter, state, title }, body);
}

/** The tab. Its properties are those that Airflow's UI hands to it. */
function Tab({ dagId, runId, taskId, mapIndex, taskInstance }) {
  const index = taskInstance?.in_loop
    ? { region_id: taskInstance.region_id, region_index: taskInstance.region_index }
    : { map_index: mapIndex };
  const place = { dag_id: dagId, run_id: runId, task_id: taskId, ...index };
  return isWhole(place) ? h(OneInstance, { place, title: "Stream" }) : null;
}

globalThis["Stream tasks"] = guarded(Page);
globalThis.Stream = guarded(Tab);
