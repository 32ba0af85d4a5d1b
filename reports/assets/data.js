'use strict';
// What the page holds: the run's data, and its rows once they are unpacked.
const run = JSON.parse(document.getElementById('data').textContent);
const OUTCOMES = ['ok', 'failed', 'unknown'];
const COLOURS = ['ok', 'fail', 'info'];
const page = document.documentElement;
const element = id => document.getElementById(id);

// Columns (JSON, gzip, base64) to arrays; texts are numbers into `words`.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const packed = JSON.parse(await new Response(stream).text());
  const sum = column => { let last = 0; return column.map(step => last += step); };
  const spell = column => column.map(number => packed.words[number]);
  const start = sum(packed.start).map(micro => micro / 1e6);
  return {
    count: start.length,
    index: sum(packed.index),
    start,
    end: start.map((at, row) => packed.took[row] < 0 ? null : at + packed.took[row] / 1e6),
    took: packed.took.map(micro => micro / 1e3),
    process: packed.process,
    outcome: packed.outcome,
    node: spell(packed.node),
    f: spell(packed.f),
    key: spell(packed.key),
    value: spell(packed.value),
    error: spell(packed.error),
  };
}

// The first row whose call is not before `at`.
function rowAt(rows, at) {
  let low = 0, high = rows.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows.start[middle] < at) low = middle + 1; else high = middle;
  }
  return low;
}

// Colours come from the style sheet. A custom property is read unresolved, so a probe wears it.
const probe = document.createElement('i');
probe.hidden = true;
document.body.append(probe);
let known = {};
function colour(name) {
  if (!known[name]) {
    probe.style.color = 'var(--' + name + ')';
    known[name] = getComputedStyle(probe).color;
  }
  return known[name];
}
const faint = (name, alpha) => colour(name).replace('rgb(', 'rgba(').replace(')', ',' + alpha + ')');
const forgetColours = () => { known = {}; };
