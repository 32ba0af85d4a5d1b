// Zoom buttons and keys, themes, copying, the table.
const zoom = {
  all: () => zoomTo(0, run.duration),
  in: () => { const quarter = (view[1] - view[0]) / 4; zoomTo(view[0] + quarter, view[1] - quarter); },
  out: () => { const half = (view[1] - view[0]) / 2; zoomTo(view[0] - half, view[1] + half); },
  left: () => { const step = (view[1] - view[0]) / 4; zoomTo(view[0] - step, view[1] - step); },
  right: () => { const step = (view[1] - view[0]) / 4; zoomTo(view[0] + step, view[1] + step); },
  violation: () => {
    if (run.violation === null) return;
    const around = run.timed ? 1 : 20;
    zoomTo(run.violation - 1.6 * around, run.violation + 0.9 * around);
    element('run').scrollIntoView();
  },
};

const THEMES = ['auto', 'light', 'dark'];
let theme = 0;
function setTheme(number) {
  theme = number;
  if (theme) page.dataset.theme = THEMES[theme]; else delete page.dataset.theme;
  element('theme').textContent = 'Theme: ' + THEMES[theme];
  redraw();
}

async function copy(button) {
  const source = element(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = 'Selected';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

// The table: 25 rows at a time, first those around the violation. Values only ever become text.
const PAGE = 25;
const COLUMNS = [
  rows => row => rows.start[row], rows => row => rows.end[row] ?? Infinity, rows => row => rows.process[row],
  rows => row => rows.node[row], rows => row => rows.f[row], rows => row => rows.key[row],
  rows => row => rows.value[row], rows => row => rows.outcome[row],
];

class Table {
  constructor(rows) {
    this.rows = rows;
    this.column = 0;
    this.direction = 1;
    this.found = [];
    this.at = 0;
    this.hay = null;
    this.body = document.querySelector('#table tbody');
    document.querySelectorAll('#table thead th').forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      button.addEventListener('click', () => this.sort(column));
      head.replaceChildren(button);
    });
    element('search').addEventListener('input', () => this.search());
    element('earlier').addEventListener('click', () => this.turn(-PAGE));
    element('later').addEventListener('click', () => this.turn(PAGE));
    this.search();
  }

  sort(column) {
    this.direction = column === this.column ? -this.direction : 1;
    this.column = column;
    this.search();
  }

  tokens(row) {
    const rows = this.rows;
    return ['p' + rows.process[row], rows.node[row], rows.f[row], rows.key[row], rows.value[row],
      OUTCOMES[rows.outcome[row]], rows.error[row]].join(' ').toLowerCase();
  }

  // Whole words; parts of words from three letters on.
  search() {
    const wanted = element('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.rows;
    if (wanted.length) this.hay ??= rows.start.map((_, row) => this.tokens(row));
    this.found = [];
    for (let row = 0; row < rows.count; row++) {
      if (wanted.every(word => this.hay[row].split(' ').includes(word) || (word.length > 2 && this.hay[row].includes(word)))) this.found.push(row);
    }
    const value = COLUMNS[this.column](rows);
    this.found.sort((one, other) => {
      const a = value(one), b = value(other);
      return (a < b ? -1 : a > b ? 1 : one - other) * this.direction;
    });
    const culprit = this.found.findIndex(row => rows.index[row] === run.culprit);
    this.at = this.column === 0 && this.direction > 0 && culprit > 0 ? culprit - (PAGE >> 1) : 0;
    this.turn(0);
  }

  turn(step) {
    this.at = Math.max(0, Math.min(this.found.length - PAGE, this.at + step));
    const shown = this.found.slice(this.at, this.at + PAGE);
    this.body.replaceChildren(...shown.map(row => this.row(row)));
    const number = value => value.toLocaleString('en');
    element('hits').textContent = number(this.found.length) + ' of ' + number(run.total)
      + (shown.length < this.found.length ? ', ' + number(this.at + 1) + ' to ' + number(this.at + shown.length) + ' shown' : '');
    element('earlier').disabled = this.at === 0;
    element('later').disabled = this.at + PAGE >= this.found.length;
  }

  row(row) {
    const rows = this.rows, line = document.createElement('tr'), bad = rows.index[row] === run.culprit;
    const seconds = at => at === null ? 'never' : run.timed ? at.toFixed(3) + ' s' : 'event ' + at;
    const kind = rows.outcome[row];
    const ending = bad ? run.blame : OUTCOMES[kind] + (rows.error[row] ? ': ' + rows.error[row] : '');
    const cells = [seconds(rows.start[row]), seconds(rows.end[row]), 'p' + rows.process[row], rows.node[row],
      rows.f[row], rows.key[row], rows.value[row], ending];
    cells.forEach((words, column) => {
      const cell = document.createElement('td');
      if (column === 0 && plots.length) {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = words;
        button.title = 'Show it in the plots';
        button.addEventListener('click', () => this.show(row));
        cell.append(button);
      } else cell.textContent = words;
      if (column === 7) cell.className = bad ? 'bad' : COLOURS[kind];
      line.append(cell);
    });
    if (bad) line.className = 'bad';
    return line;
  }

  show(row) {
    const from = this.rows.start[row], to = this.rows.end[row] ?? from + 1, room = Math.max(run.timed ? 0.2 : 5, to - from);
    zoomTo(from - room, to + room);
    element('run').scrollIntoView();
  }
}

const KEYS = {
  v: zoom.violation, 0: zoom.all, '+': zoom.in, '=': zoom.in, '-': zoom.out, ArrowLeft: zoom.left,
  ArrowRight: zoom.right, t: () => setTheme((theme + 1) % 3),
  '/': () => { element('search').focus(); element('operations').scrollIntoView(); },
};
const NEED_PLOTS = new Set(['v', '0', '+', '=', '-', 'ArrowLeft', 'ArrowRight']);

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input')) { if (event.key === 'Escape') event.target.blur(); return; }
  // Arrows belong to whatever scrolls sideways while it has the focus.
  if (event.key.startsWith('Arrow') && event.target.closest('[tabindex]')) return;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (!act || (NEED_PLOTS.has(event.key) && !plots.length)) return;
  event.preventDefault();
  act();
}

async function begin() {
  page.classList.add('live');
  element('theme').addEventListener('click', () => setTheme((theme + 1) % 3));
  document.querySelectorAll('[data-copy]').forEach(button => button.addEventListener('click', () => copy(button)));
  document.querySelectorAll('[data-zoom]').forEach(button => button.addEventListener('click', () => zoom[button.dataset.zoom]()));
  addEventListener('keydown', pressed);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  let waiting = 0;
  addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(resize, 80); });
  const rows = await unpack(run.rows);
  if (typeof uPlot === 'function' && element('plot-processes')) {
    drawPlots(rows);
    viewFromLink();
    addEventListener('hashchange', viewFromLink);
  }
  if (rows.count) new Table(rows);
}

// For whoever drives the page: when it is ready, and what each plot shows.
window.report = { ready: begin(), windows: () => plots.map(made => [made.scales.x.min, made.scales.x.max]) };
