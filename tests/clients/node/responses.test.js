// OpenAI's official Node SDK, unchanged, at `/v1/responses` and `/v1/conversations`: each test runs on an OpenAI
// chat and on an Anthropic upstream, which know neither.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { USER, Upstream, WORDS } from './upstream.js';

const client = new OpenAI({ baseURL: `${process.env.SLUIS_URL}/v1`, apiKey: 'any', maxRetries: 0, timeout: 30_000 });
const impatient = new OpenAI({ baseURL: `${process.env.SLUIS_IMPATIENT_URL}/v1`, apiKey: 'any', maxRetries: 0 });
const WEATHER = {
  type: 'function',
  name: 'get_weather',
  strict: true,
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
};

/** The events of a stream, numbered without a gap (rule P1), and its answer. */
async function streamed(body) {
  const events = [];
  for await (const event of await client.responses.create({ ...body, stream: true })) events.push(event);
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  return { events, answer: events.at(-1).response };
}

const textOf = (response) =>
  response.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? '').join('');

for (const dialect of ['openai', 'anthropic']) {
  const upstream = new Upstream(dialect);

  describe(`responses on an upstream that speaks ${dialect}`, () => {
    test('unary', async () => {
      const answer = await client.responses.create(upstream.response('text'));
      assert.deepEqual([answer.object, answer.status, answer.output_text], ['response', 'completed', WORDS]);
      assert.match(answer.id, /^resp_/);
      assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens], [9, 5, 14]);
      assert.ok(answer._request_id);
    });

    test('stream (rule P1)', async () => {
      const { events, answer } = await streamed(upstream.response('text'));
      const kinds = events.map((event) => event.type);
      assert.deepEqual(kinds.slice(0, 2), ['response.created', 'response.in_progress']);
      assert.equal(kinds.at(-1), 'response.completed');
      const deltas = events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta);
      assert.equal(deltas.join(''), WORDS);
      assert.equal(textOf(answer), WORDS);
    });

    test('streaming helper', async () => {
      let seen = '';
      const stream = client.responses.stream(upstream.response('text'));
      stream.on('response.output_text.delta', (event) => (seen += event.delta));
      assert.equal((await stream.finalResponse()).output_text, WORDS);
      assert.equal(seen, WORDS);
    });

    test('parse with a zod schema', async () => {
      const format = zodTextFormat(z.object({ city: z.string(), degrees: z.number() }), 'weather');
      const answer = await client.responses.parse(upstream.response('schema', { text: { format } }));
      assert.deepEqual(answer.output_parsed, { city: 'Oslo', degrees: -3 });
      const last = await client.responses.stream(upstream.response('schema', { text: { format } })).finalResponse();
      assert.deepEqual(last.output_parsed, { city: 'Oslo', degrees: -3 });
    });

    for (const [scenario, cities] of [['tools', ['Oslo']], ['parallel', ['Oslo', 'Rome']]]) {
      for (const streaming of [false, true]) {
        test(`a round trip of ${scenario}, stream: ${streaming}`, async () => {
          const body = upstream.response(scenario, { tools: [WEATHER] });
          const first = streaming ? (await streamed(body)).answer : await client.responses.create(body);
          const calls = first.output.filter((item) => item.type === 'function_call');
          assert.deepEqual(calls.map((call) => JSON.parse(call.arguments).city), cities);
          const results = calls.map(({ call_id }, at) => ({ type: 'function_call_output', call_id, output: `cold in ${cities[at]}` }));
          const expected = `I saw: ${cities.map((city) => `cold in ${city}`).join(', ')}.`;
          // The gateway remembers the first turn ...
          const next = await client.responses.create({ ...body, input: results, previous_response_id: first.id });
          assert.equal(next.output_text, expected);
          assert.equal(next.previous_response_id, first.id);
          // ... and needs not, when the client says it all again.
          const input = [{ role: 'user', content: 'Tell me.' }, ...first.output, ...results];
          assert.equal((await client.responses.create({ ...body, input, store: false })).output_text, expected);
        });
      }
    }

    test('reasoning comes back and is known again (rules R1, P4)', async () => {
      const body = upstream.response('thinking', { tools: [WEATHER], store: false, include: ['reasoning.encrypted_content'] });
      const first = await client.responses.create(body);
      assert.deepEqual(first.output.map((item) => item.type), ['reasoning', 'function_call']);
      // Only what its maker has signed needs a seal.
      assert.equal(Boolean(first.output[0].encrypted_content), dialect === 'anthropic');
      const result = { type: 'function_call_output', call_id: first.output[1].call_id, output: 'cold' };
      const input = [{ role: 'user', content: 'Tell me.' }, ...first.output, result];
      // The upstream refuses a turn whose thinking did not come back as it was.
      assert.equal((await client.responses.create({ ...body, input })).output_text, 'I saw: cold.');

      const kept = await client.responses.create({ ...body, store: true });
      const answered = [{ ...result, call_id: kept.output[1].call_id }];
      const second = await client.responses.create({ ...body, store: true, input: answered, previous_response_id: kept.id });
      for (const include of [[], ['reasoning.encrypted_content']]) {
        const { data } = await client.responses.inputItems.list(second.id, { include });
        const thought = data.find((item) => item.type === 'reasoning');
        assert.equal(Boolean(thought.encrypted_content), dialect === 'anthropic' && include.length > 0);
      }
      await assert.rejects(client.responses.inputItems.list(second.id, { include: ['nothing'] }), OpenAI.BadRequestError);
    });

    test('previous_response_id, retrieve, input items and delete', async () => {
      const first = await client.responses.create(upstream.response('history'));
      const second = await client.responses.create(upstream.response('history', { input: 'And?', previous_response_id: first.id }));
      assert.deepEqual([first.output_text, second.output_text], ['user', 'user / assistant / user']);
      assert.equal((await client.responses.retrieve(second.id)).output_text, second.output_text);
      const items = [];
      for await (const item of client.responses.inputItems.list(second.id, { order: 'asc', limit: 1 })) items.push(item);
      assert.deepEqual(items.map((item) => item.role), ['user', 'assistant', 'user']);
      await client.responses.delete(second.id);
      await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
    });

    test('conversations', async () => {
      const { id } = await client.conversations.create({ metadata: { topic: 'ships' } });
      for (const [input, expected] of [['One.', 'user'], ['Two.', 'user / assistant / user']]) {
        assert.equal((await client.responses.create(upstream.response('history', { input, conversation: id }))).output_text, expected);
      }
      const items = [];
      for await (const item of client.conversations.items.list(id, { order: 'asc' })) items.push(item);
      assert.deepEqual(items.map((item) => item.role), ['user', 'assistant', 'user', 'assistant']);
      assert.equal((await client.conversations.items.retrieve(items[0].id, { conversation_id: id })).id, items[0].id);
      await client.conversations.items.create(id, { items: USER });
      await client.conversations.items.delete(items[0].id, { conversation_id: id });
      assert.deepEqual((await client.conversations.update(id, { metadata: { topic: 'locks' } })).metadata, { topic: 'locks' });
      assert.deepEqual((await client.conversations.retrieve(id)).metadata, { topic: 'locks' });
      assert.ok((await client.conversations.delete(id)).deleted);
    });

    test('background', async () => {
      let answer = await client.responses.create(upstream.response('slow-stream', { background: true }));
      assert.ok(['queued', 'in_progress'].includes(answer.status));
      for (const end = Date.now() + 20_000; Date.now() < end && answer.status !== 'completed'; await sleep(50)) {
        answer = await client.responses.retrieve(answer.id);
      }
      assert.deepEqual([answer.status, answer.output_text], ['completed', WORDS]);
    });

    test('a background answer is cancelled', async () => {
      await upstream.log('DELETE');
      const { id } = await client.responses.create(upstream.response('endless', { background: true }));
      await upstream.wait('the question', (entry) => entry.body);
      assert.equal((await client.responses.cancel(id)).status, 'cancelled');
      await upstream.left();
    });

    test('a stream that was left is taken up where it stood', async () => {
      const seen = [];
      for await (const event of await client.responses.create(upstream.response('slow-stream', { background: true, stream: true }))) {
        if (seen.push(event) === 5) break;
      }
      const options = { stream: true, starting_after: seen.at(-1).sequence_number };
      for await (const event of await client.responses.retrieve(seen[0].response.id, options)) seen.push(event);
      assert.deepEqual(seen.map((event) => event.sequence_number), [...seen.keys()]);
      assert.equal(textOf(seen.at(-1).response), WORDS);
    });

    test('tokens are counted', async () => {
      const count = await client.responses.inputTokens.count(upstream.response('text'));
      assert.equal(count.object, 'response.input_tokens');
      assert.ok(count.input_tokens > 0);
    });

    test('keep-alives are invisible (rules S6, S7)', async () => {
      const stream = impatient.responses.stream(upstream.response('late'));
      assert.equal((await stream.finalResponse()).output_text, WORDS);
    });

    test('errors (rules M1, E1)', async () => {
      await assert.rejects(client.responses.create(upstream.response('error-429')), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError);
        assert.match(error.message, /scripted 429/);
        return true;
      });
      await assert.rejects(client.responses.create({ model: 'nobody/knows', input: 'Hi' }), OpenAI.NotFoundError);
      await assert.rejects(client.responses.stream(upstream.response('broken')).finalResponse(), OpenAI.OpenAIError);
    });
  });
}
