// Runs the suite's engine with each test's requests carried out elsewhere: node _conformance.mjs SUITE BASE CARRIER
// Prints the results as JSON: {test: [kind, verdict, what was seen]}.

const [suite, base, carrier] = process.argv.slice(2)
const fetchOfNode = globalThis.fetch

globalThis.fetch = async (url, init = {}) => {
  const test = /\/test\/([0-9a-f-]+)/.exec(url)
  if (!test) return fetchOfNode(url, init)
  const headers = new Headers(init.headers)
  // What fetch itself adds, by the Fetch standard.
  if (init.cache === 'no-cache' && !headers.has('cache-control')) headers.set('cache-control', 'max-age=0')
  const asked = { test: test[1], method: init.method ?? 'GET', url, headers: [...headers], body: init.body ?? '' }
  const carried = await fetchOfNode(carrier, { method: 'POST', body: JSON.stringify(asked), signal: init.signal })
  const answer = await carried.json()
  const isOdd = answer.status < 200 || answer.status > 599
  const body = [204, 205, 304].includes(answer.status) ? null : Buffer.from(answer.body, 'base64')
  const response = new Response(body, { status: isOdd ? 200 : answer.status, headers: answer.headers })
  if (isOdd) Object.defineProperty(response, 'status', { value: answer.status })
  return response
}

const { runTests, getResults } = await import(`${suite}/test-engine/client/runner.mjs`)
const { determineTestResult, resultTypes } = await import(`${suite}/test-engine/lib/results.mjs`)
const { default: suites } = await import(`${suite}/tests/index.mjs`)

await runTests(suites, true, base) // true: as a private cache
const results = getResults()
const verdicts = new Map(Object.entries(resultTypes).map(([name, type]) => [type, name]))
const told = {}
for (const { tests } of suites) {
  for (const test of tests.filter(({ id }) => id in results)) {
    const verdict = verdicts.get(determineTestResult(suites, test.id, results))
    told[test.id] = [test.kind ?? 'required', verdict, String(results[test.id])]
  }
}
console.log(JSON.stringify(told))
