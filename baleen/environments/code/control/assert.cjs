// The control run of Node suites: every assertion of node:assert fails, so a test that still passes lies.
'use strict';
const assert = require('node:assert');
const { syncBuiltinESMExports } = require('node:module');

function fail() {
  throw new Error('control');
}

for (const place of [assert, assert.strict]) {
  for (const name of Object.keys(place)) {
    if (typeof place[name] === 'function' && name !== 'AssertionError' && name !== 'CallTracker') {
      place[name] = fail;
    }
  }
}
// A called `assert(...)` cannot be replaced in its own module, so the module's exports are.
const called = Object.assign(function () { fail(); }, assert);
called.strict = called;
for (const id of ['assert', 'node:assert', 'assert/strict', 'node:assert/strict']) {
  replaced(id);
}
syncBuiltinESMExports();

function replaced(id) {
  const Module = require('node:module');
  const load = Module._load;
  Module._load = function (request, ...rest) {
    return request === id ? called : load.call(this, request, ...rest);
  };
}
