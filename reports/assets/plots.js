// The plots: one time axis, one window that all of them show.
const plots = [];
let view = [0, run.duration];
const FONT = '12px system-ui,"Noto Sans","DejaVu Sans",sans-serif';
const ratio = () => devicePixelRatio || 1;
const plotWidth = () => Math.max(280, document.querySelector('.plots').clientWidth);

function setView(from, to) {
  const width = Math.min(run.duration, Math.max(run.timed ? 0.002 : 2, to - from));
  from = Math.max(0, Math.min(run.duration - width, from));
  view = [from, from + width];
  for (const plot of plots) plot.setScale('x', { min: view[0], max: view[1] });
  const digits = !run.timed ? 0 : width < 2 ? 3 : 1;
  const words = view.map(at => at.toFixed(digits)).join(' – ');
  element('window').textContent = run.timed ? words + ' s' : 'events ' + words;
}

// The window stands in the address, so that it can be sent. Some viewers forbid it; then only the link is lost.
function link() {
  const whole = view[0] === 0 && view[1] === run.duration;
  if (whole && !location.hash.startsWith('#t=')) return;
  const mark = whole ? location.pathname : '#t=' + view[0].toFixed(3) + '-' + view[1].toFixed(3);
  try { history.replaceState(null, '', mark); } catch { return; }
}

function zoomTo(from, to) {
  setView(from, to);
  link();
}

function viewFromLink() {
  const found = /^#t=([\d.]+)-([\d.]+)$/.exec(location.hash);
  if (found && +found[1] < +found[2]) setView(+found[1], +found[2]);
}

// Hooks of one plot share its canvas context, so each leaves it as it was found.
function clipped(plot, draw) {
  const context = plot.ctx, box = plot.bbox;
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
  context.font = 12 * ratio() + 'px system-ui,"Noto Sans","DejaVu Sans",sans-serif';
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  context.setLineDash([]);
  draw(context, box, ratio());
  context.restore();
}

function fitted(context, words, x, y, room) {
  if (room < 14 * ratio()) return;
  while (words.length > 1 && context.measureText(words).width > room) words = words.slice(0, -2) + '…';
  if (words.length > 1 || context.measureText(words).width <= room) context.fillText(words, x, y);
}

const shading = {
  hooks: {
    drawClear: plot => clipped(plot, (context, box) => {
      for (const fault of run.faults) {
        const left = plot.valToPos(fault.from, 'x', true), right = plot.valToPos(fault.to, 'x', true);
        context.fillStyle = faint(fault.colour, run.tint);
        context.fillRect(left, box.top, right - left, box.height);
      }
    }),
    draw: plot => clipped(plot, (context, box, scale) => {
      if (run.violation === null) return;
      const x = plot.valToPos(run.violation, 'x', true);
      context.strokeStyle = colour('bad');
      context.lineWidth = 2 * scale;
      context.beginPath();
      context.moveTo(x, box.top);
      context.lineTo(x, box.top + box.height);
      context.stroke();
    }),
  },
};

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6];
const axis = more => ({
  stroke: () => colour('mut'), grid: { stroke: () => faint('line', 0.6), width: 1 },
  ticks: { stroke: () => colour('line'), width: 1 }, font: FONT, ...more,
});

function plot(id, height, series, data, { y = {}, scale = {}, draw = null } = {}) {
  const drawing = draw ? [{ hooks: { draw: made => clipped(made, (...canvas) => draw(made, ...canvas)) } }] : [];
  const made = new uPlot({
    width: plotWidth(), height, legend: { show: false }, padding: [8, 22, 0, 0],
    plugins: [...drawing, shading],
    cursor: {
      y: false, points: { show: false },
      drag: { x: true, y: false, setScale: false },
      sync: { key: 'run', setSeries: false, filters: { pub: kind => kind === 'mousemove' || kind === 'mouseleave' } },
      bind: { dblclick: () => () => zoomTo(0, run.duration) },
    },
    hooks: {
      setSelect: [self => {
        const { left, width } = self.select;
        if (width < 3) return;
        const from = self.posToVal(left, 'x'), to = self.posToVal(left + width, 'x');
        self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        zoomTo(from, to);
      }],
    },
    scales: { x: { time: false, min: 0, max: run.duration, auto: false }, y: { auto: false, ...scale } },
    axes: [
      axis({ size: 30, gap: 3, ...(run.timed ? {} : { incrs: WHOLE }), values: (_, at) => at.map(value => +value.toFixed(6) + (run.timed ? ' s' : '')) }),
      axis({ size: 74, gap: 6, ...y }),
    ],
    series: [{}, ...series],
  }, data, element(id));
  plots.push(made);
}

// Rows drawn by ourselves on the library's scales; the line it wants is a transparent one.
const silent = [{ paths: () => null, points: { show: false } }];
const nothing = () => [[0, run.duration], [null, null]];
const rowAxis = names => ({
  splits: () => names.map((_, row) => row), values: () => names, grid: { show: false }, ticks: { show: false },
});

function lane(plot, from, to, row, draw) {
  const box = plot.bbox;
  const left = Math.max(box.left - 2, plot.valToPos(from, 'x', true));
  const right = Math.min(box.left + box.width + 2, plot.valToPos(to, 'x', true));
  if (right <= box.left || left >= box.left + box.width) return;
  draw(left, Math.max(right - left, 1), plot.valToPos(row, 'y', true));
}

function nodesPlot() {
  const levels = 1 + Math.max(-1, ...run.faults.map(fault => fault.level));
  const above = levels * 56 / 32 + (levels ? 0.2 : 0);
  const height = levels * 56 + run.nodes.length * 32 + 52;
  plot('plot-nodes', height, silent, nothing(), {
    scale: { dir: -1, range: () => [-0.5 - above, run.nodes.length - 0.5] },
    y: rowAxis(run.nodes),
    draw: (self, context, box, scale) => {
      for (const fault of run.faults) lane(self, fault.from, fault.to, 0, (x, width) => {
        const top = box.top + (2 + fault.level * 56) * scale, high = 52 * scale;
        context.fillStyle = faint(fault.colour, run.box);
        context.fillRect(x, top, width, high);
        context.strokeStyle = colour(fault.colour);
        context.lineWidth = scale;
        context.strokeRect(x, top, width, high);
        context.fillStyle = colour('fg');
        [fault.name, fault.words, fault.who].forEach((words, line) =>
          fitted(context, words, x + 5 * scale, top + (11 + line * 15) * scale, width - 7 * scale));
      });
      for (const [node, role, term, from, to] of run.roles) {
        lane(self, from, to, run.nodes.indexOf(node), (x, width, y) => drawRole(context, scale, role, term, x, width, y));
      }
    },
  });
}

function drawRole(context, scale, role, term, x, width, y) {
  const say = (words, ink) => {
    context.fillStyle = colour(ink);
    fitted(context, words, x + 5 * scale, y, width - 8 * scale);
  };
  context.setLineDash(role === 'candidate' ? [3 * scale, 3 * scale] : []);
  if (role === 'leader') {
    context.fillStyle = colour('ok');
    context.fillRect(x, y - 10 * scale, width, 20 * scale);
    say('leader, term ' + term, 'bg');
  } else if (role === 'down') {
    context.strokeStyle = colour('process');
    context.lineWidth = 2 * scale;
    context.strokeRect(x, y - 8 * scale, width, 16 * scale);
    say('✕ down', 'process');
  } else {
    context.strokeStyle = colour('mut');
    context.lineWidth = scale;
    context.strokeRect(x, y - 6 * scale, width, 12 * scale);
    if (role === 'candidate') say('candidate, term ' + term, 'fg');
  }
  context.setLineDash([]);
}

const stepped = (stroke, dash, width = 1.5) => ({
  stroke: () => colour(stroke), width, dash, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }),
});
// The last step ends where the run ends.
const steps = values => [...values, values.length ? values[values.length - 1] : null];
const stepTimes = () => [...run.buckets.start, run.duration];

function latencyPlot(rows) {
  const [low, high] = run.latency;
  const powers = [];
  for (let power = low; power <= high * 1.001; power *= 10) powers.push(power);
  const words = value => value >= 1000 ? value / 1000 + ' s' : value + ' ms';
  plot('plot-latency', 260, [stepped('fg', []), stepped('fg', [5, 4], 1.3)],
    [stepTimes(), steps(run.buckets.p50), steps(run.buckets.p99)], {
      scale: { distr: 3, range: () => [low, high * 1.6] },
      y: { splits: () => powers, values: () => powers.map(power => words(+power.toPrecision(3))) },
      draw: (self, context, box, scale) => {
        const first = rowAt(rows, view[0]), last = rowAt(rows, view[1]);
        const marks = [new Path2D(), new Path2D(), new Path2D()];
        for (let row = first; row < last; row++) {
          const kind = rows.outcome[row], mark = marks[kind], x = self.valToPos(rows.start[row], 'x', true);
          const y = rows.end[row] === null ? box.top + 9 * scale
            : self.valToPos(Math.max(low, rows.took[row]), 'y', true);
          if (kind === 0) mark.rect(x - 1.4 * scale, y - 1.4 * scale, 2.8 * scale, 2.8 * scale);
          else if (kind === 1) {
            mark.moveTo(x - 3 * scale, y - 3 * scale); mark.lineTo(x + 3 * scale, y + 3 * scale);
            mark.moveTo(x + 3 * scale, y - 3 * scale); mark.lineTo(x - 3 * scale, y + 3 * scale);
          } else {
            mark.moveTo(x, y - 4 * scale); mark.lineTo(x + 3.6 * scale, y + 3 * scale);
            mark.lineTo(x - 3.6 * scale, y + 3 * scale); mark.closePath();
          }
        }
        context.fillStyle = faint('ok', 0.55);
        context.fill(marks[0]);
        context.strokeStyle = colour('fail');
        context.lineWidth = 1.4 * scale;
        context.stroke(marks[1]);
        context.fillStyle = colour('info');
        context.fill(marks[2]);
      },
    });
}

function ratePlot() {
  const most = Math.max(1, ...run.buckets.rates.flat());
  plot('plot-rate', 150, [stepped('ok', [], 2), stepped('fail', [6, 3], 2), stepped('info', [2, 3], 2)],
    [stepTimes(), ...run.buckets.rates.map(steps)], { scale: { range: () => [0, most * 1.1] } });
}

function processesPlot(rows) {
  const laneOf = process => run.lanes ? process % run.lanes : process;
  const lanes = [...new Set(rows.process.map(laneOf))].sort((one, other) => one - other);
  const place = new Map(lanes.map((process, row) => [process, row]));
  const pitch = Math.max(5, Math.min(20, 560 / Math.max(1, lanes.length)));
  const names = lanes.map((process, row) =>
    pitch >= 12 || row % Math.ceil(12 / pitch) === 0 ? (run.lanes ? 'client ' : 'p') + process : '');
  // An operation without an end is drawn until its client went on with the next.
  const until = new Array(rows.count), next = new Map();
  for (let row = rows.count - 1; row >= 0; row--) {
    const where = laneOf(rows.process[row]);
    until[row] = rows.end[row] ?? next.get(where) ?? run.duration;
    next.set(where, rows.start[row]);
  }
  const longest = rows.start.reduce((most, at, row) => Math.max(most, until[row] - at), 0);
  const marked = new Set(run.marked);
  plot('plot-processes', lanes.length * pitch + 48, silent, nothing(), {
    scale: { dir: -1, range: () => [-0.7, lanes.length - 0.3] },
    y: rowAxis(names),
    draw: (self, context, box, scale) => {
      const high = pitch * 0.7 * scale, last = rowAt(rows, view[1]);
      for (let row = rowAt(rows, view[0] - longest); row < last; row++) {
        const kind = rows.outcome[row], bad = rows.index[row] === run.culprit;
        lane(self, rows.start[row], until[row], place.get(laneOf(rows.process[row])), (x, width, y) => {
          const top = kind === 1 ? y : y - high / 2, tall = kind === 1 ? high / 2 : high;
          context.setLineDash(kind === 2 ? [3 * scale, 2 * scale] : []);
          context.fillStyle = bad ? colour('badbg') : faint(COLOURS[kind], kind === 2 ? run.tint : run.mark);
          context.fillRect(x, top, width, tall);
          context.strokeStyle = colour(bad ? 'bad' : COLOURS[kind]);
          context.lineWidth = (bad || marked.has(rows.index[row]) ? 2.5 : 0.8) * scale;
          if (width > 2 * scale || bad || kind) context.strokeRect(x, top, width, tall);
          context.setLineDash([]);
          if (pitch >= 12 && width > 44 * scale && kind !== 1) {
            context.fillStyle = colour('fg');
            fitted(context, rows.f[row] + ' ' + rows.key[row] + ' ' + rows.value[row], x + 4 * scale, y, width - 6 * scale);
          }
        });
      }
    },
  });
}

function clocksPlot() {
  const nodes = Object.keys(run.clocks);
  if (!nodes.length) return;
  const times = [...new Set(nodes.flatMap(node => run.clocks[node].map(([at]) => at)))].sort((a, b) => a - b);
  const columns = nodes.map(node => {
    const read = new Map(run.clocks[node]);
    return times.map(at => read.has(at) ? read.get(at) : undefined);
  });
  const all = nodes.flatMap(node => run.clocks[node].map(([, off]) => off));
  const low = Math.min(0, ...all), high = Math.max(0, ...all), room = Math.max(0.01, (high - low) * 0.15);
  const furthest = nodes.map(node => run.clocks[node].reduce((most, one) => Math.abs(one[1]) > Math.abs(most[1]) ? one : most));
  plot('plot-clocks', 140, nodes.map((_, number) => ({
    stroke: () => colour(Math.abs(furthest[number][1]) > 0.1 ? 'clock' : 'mut'), spanGaps: true,
    width: Math.abs(furthest[number][1]) > 0.1 ? 2 : 1, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }),
  })), [times, ...columns], {
    scale: { range: () => [low - room, high + room] },
    y: { values: (_, at) => at.map(value => (value > 0 ? '+' : '') + +value.toFixed(3) + ' s') },
    draw: (self, context, box, scale) => {
      context.fillStyle = colour('fg');
      furthest.forEach(([at, off], number) => {
        if (Math.abs(off) <= 0.1 || at < view[0] || at > view[1]) return;
        const y = self.valToPos(off, 'y', true) + (off > 0 ? 9 : -9) * scale;
        context.fillText(nodes[number] + ' ' + (off > 0 ? '+' : '') + +off.toFixed(3) + ' s', self.valToPos(at, 'x', true) + 4 * scale, y);
      });
    },
  });
}

function drawPlots(rows) {
  page.classList.add('plotted');
  if (element('plot-nodes')) nodesPlot();
  if (run.timed) {
    latencyPlot(rows);
    ratePlot();
  }
  processesPlot(rows);
  clocksPlot();
  setView(0, run.duration);
}
const redraw = () => { forgetColours(); for (const made of plots) made.redraw(false, true); };
const resize = () => { for (const made of plots) made.setSize({ width: plotWidth(), height: made.height }); };
