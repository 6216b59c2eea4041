// OpenAI's official Node SDK, unchanged, at `/v1/chat/completions`: each test runs on an OpenAI and on an
// Anthropic upstream.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { IMAGE, USER, Upstream, WORDS } from './upstream.js';

const connect = (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', maxRetries: 0, timeout: 30_000 });
const client = connect(process.env.SLUIS_URL);
// A gateway whose keep-alive interval is shorter than the upstream's silence.
const impatient = connect(process.env.SLUIS_IMPATIENT_URL);

const tool = (name, properties) => ({
  type: 'function',
  function: {
    name,
    strict: true,
    parameters: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
  },
});
const WEATHER = tool('get_weather', { city: { type: 'string' } });
const TIME = tool('get_time', {});

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
  return { chunks, text };
}

for (const dialect of ['openai', 'anthropic']) {
  const upstream = new Upstream(dialect);

  describe(`on an upstream that speaks ${dialect}`, () => {
    test('unary', async () => {
      const answer = await client.chat.completions.create(upstream.chat('text'));
      assert.equal(answer.object, 'chat.completion');
      assert.match(answer.id, /^chatcmpl-/);
      assert.equal(answer.choices[0].message.content, WORDS);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      assert.equal(answer.usage.total_tokens, 14);
      assert.ok(answer._request_id);
    });

    test('stream', async () => {
      const { chunks, text } = await read(await client.chat.completions.create(upstream.chat('text', { stream: true })));
      assert.equal(text, WORDS);
      assert.deepEqual(chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean), ['stop']);
      assert.ok(chunks.every((chunk) => chunk.usage == null));
    });

    test('stream with usage', async () => {
      const options = { stream: true, stream_options: { include_usage: true } };
      const { chunks } = await read(await client.chat.completions.create(upstream.chat('text', options)));
      const last = chunks.pop();
      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.total_tokens, 14);
      assert.ok(chunks.every((chunk) => chunk.usage === null));
    });

    test('streaming helper', async () => {
      const stream = client.chat.completions.stream(upstream.chat('text'));
      let seen = '';
      stream.on('content', (delta) => (seen += delta));
      assert.equal(await stream.finalContent(), WORDS);
      assert.equal(seen, WORDS);
      assert.equal((await stream.finalChatCompletion()).choices[0].finish_reason, 'stop');
    });

    for (const [scenario, cities] of [['tools', ['Oslo']], ['parallel', ['Oslo', 'Rome']]]) {
      for (const stream of [false, true]) {
        test(`runTools, ${scenario}, stream: ${stream}`, async () => {
          const asked = [];
          const run = (input) => (asked.push(input.city), `cold in ${input.city}`);
          const definition = { ...WEATHER.function, parse: JSON.parse, function: run };
          const body = upstream.chat(scenario, { stream, tools: [{ type: 'function', function: definition }] });
          const runner = client.chat.completions.runTools(body);
          assert.equal(await runner.finalContent(), `I saw: ${cities.map((city) => `cold in ${city}`).join(', ')}.`);
          assert.deepEqual(asked, cities);
        });
      }
    }

    test('a call without arguments (rule T1)', async () => {
      const body = upstream.chat('no-arguments', { tools: [TIME] });
      const answer = await client.chat.completions.create(body);
      assert.equal(answer.choices[0].message.tool_calls[0].function.arguments, '{}');
      const streamed = await client.chat.completions.stream(body).finalChatCompletion();
      assert.equal(streamed.choices[0].message.tool_calls[0].function.arguments, '{}');
      assert.equal(streamed.choices[0].finish_reason, 'tool_calls');
    });

    test('parse with a zod schema (rules J1, J2)', async () => {
      const format = zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), 'weather');
      const body = upstream.chat('schema', { response_format: format });
      const answer = await client.chat.completions.parse(body);
      assert.deepEqual(answer.choices[0].message.parsed, { city: 'Oslo', degrees: -3 });
      const streamed = await client.chat.completions.stream(body).finalChatCompletion();
      assert.deepEqual(streamed.choices[0].message.parsed, { city: 'Oslo', degrees: -3 });
    });

    test('vision', async () => {
      const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${IMAGE}` } };
      const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, image] }];
      const answer = await client.chat.completions.create(upstream.chat('vision', { messages }));
      assert.equal(answer.choices[0].message.content, 'one pixel');
    });

    const errors = [
      [400, 400, OpenAI.BadRequestError],
      [401, 502, OpenAI.InternalServerError],
      [403, 502, OpenAI.InternalServerError],
      [404, 404, OpenAI.NotFoundError],
      [409, 409, OpenAI.ConflictError],
      [422, 422, OpenAI.UnprocessableEntityError],
      [429, 429, OpenAI.RateLimitError],
      [500, 500, OpenAI.InternalServerError],
      [529, 503, OpenAI.InternalServerError],
    ];
    for (const [status, told, kind] of errors) {
      test(`upstream ${status} raises ${kind.name} (rule M1)`, async () => {
        for (const stream of [false, true]) {
          const failed = client.chat.completions.create(upstream.chat(`error-${status}`, { stream }));
          await assert.rejects(failed, (error) => {
            assert.ok(error instanceof kind, `${error}`);
            assert.equal(error.status, told);
            assert.match(error.message, new RegExp(`scripted ${status}`));
            assert.ok(error.type && error.requestID);
            assert.ok(error.code !== undefined && error.param !== undefined, 'absent is null');
            return true;
          });
        }
      });
    }

    test('a broken stream raises after what came (rule E1)', async () => {
      let seen = '';
      const reading = async () => {
        for await (const chunk of await client.chat.completions.create(upstream.chat('broken', { stream: true }))) {
          seen += chunk.choices[0]?.delta.content ?? '';
        }
      };
      await assert.rejects(reading, (error) => {
        assert.ok(error instanceof OpenAI.APIError, `${error}`);
        assert.equal(error.code, 'upstream_stream_interrupted');
        return true;
      });
      assert.equal(seen, 'half');
    });

    test('cancellation in mid-stream closes the upstream (rule D1)', async () => {
      await upstream.log('DELETE');
      let count = 0;
      for await (const _ of await client.chat.completions.create(upstream.chat('endless', { stream: true }))) {
        if (++count === 8) break;
      }
      await upstream.left();
    });

    test('an abort before the first byte closes the upstream (rule D1)', async () => {
      await upstream.log('DELETE');
      const asked = client.chat.completions.create(upstream.chat('silent'), { signal: AbortSignal.timeout(700) });
      await assert.rejects(asked, OpenAI.APIUserAbortError);
      await upstream.left();
    });

    test('keep-alives are invisible (rules S6, S7)', async () => {
      const late = upstream.chat('late', { stream: true });
      const raw = await impatient.chat.completions.create(late).asResponse();
      assert.match(await raw.text(), /^:/m, 'there was something to hide');
      assert.equal((await read(await impatient.chat.completions.create(late))).text, WORDS);
      assert.equal(await impatient.chat.completions.stream(upstream.chat('late')).finalContent(), WORDS);
    });

    test('a retry waits as long as it is told to (rule F8)', async () => {
      const begun = Date.now();
      const patient = client.withOptions({ maxRetries: 1 });
      assert.equal((await patient.chat.completions.create(upstream.chat('busy-once'))).choices[0].message.content, WORDS);
      assert.ok(Date.now() - begun > 900);
    });

    test('what no retry could mend is asked once', async () => {
      await upstream.log('DELETE');
      const asked = client.withOptions({ maxRetries: 2 }).chat.completions.create(upstream.chat('error-401'));
      await assert.rejects(asked, OpenAI.InternalServerError);
      assert.equal((await upstream.log()).length, 1);
    });

    test('a slow stream', async () => {
      const { text } = await read(await client.chat.completions.create(upstream.chat('slow-stream', { stream: true })));
      assert.equal(text, WORDS);
    });
  });
}

test('models are listed', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('builtin/echo'), names.join());
  assert.equal((await client.models.retrieve('builtin/echo')).id, 'builtin/echo');
});

test('an unknown model raises NotFoundError', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'nobody/knows', messages: USER }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, 'model_not_found');
    assert.equal(error.param, 'model');
    return true;
  });
});
