// Runs pino. Package: pino. Usage: node node_pino.mjs > ../pino/log.ndjson
import pino from 'pino';

let clock = Date.parse('2026-11-23T10:00:00Z');
const log = pino({
  timestamp: () => `,"time":${clock}`,
  base: { pid: 4242, hostname: 'gpu-7' },
  redact: ['user.token'],
});
const labels = ['cat', 'dog', 'bird'];
for (let n = 0; n < 24; n += 1) {
  clock += 1017;
  const score = (((n * 37) % 50) + 50) / 100;
  const rest = (1 - score) / 2;
  const probabilities = Object.fromEntries(labels.map((label, i) => [label, i === n % 3 ? score : rest]));
  log.info(
    {
      reqId: `r-${n}`,
      modelVersion: 'animals-1.4.0',
      probabilities,
      responseTime: 4 + ((n * 13) % 29),
      user: { email: `user${n}@example.com`, token: 'secret' },
    },
    'inference',
  );
  if (n === 9) log.error(Object.assign(new Error('model not loaded'), { stack: 'Error: model not loaded\n    at predict (/srv/model.js:12:9)' }));
}
