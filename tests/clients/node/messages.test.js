// Anthropic's official Node SDK, unchanged, at `/v1/messages`: both lines of it, which speak the two living
// versions of the API, each on an OpenAI and on an Anthropic upstream.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import Anthropic0 from 'anthropic-0';
import { betaZodTool as betaZodTool0 } from 'anthropic-0/helpers/beta/zod';
import { zodOutputFormat as zodOutputFormat0 } from 'anthropic-0/helpers/zod';
import { z } from 'zod';

import { IMAGE, USER, Upstream, WORDS } from './upstream.js';

const tool = (name, properties) => ({
  name,
  input_schema: { type: 'object', properties, required: Object.keys(properties) },
});
const WEATHER = tool('get_weather', { city: { type: 'string' } });
const TIME = tool('get_time', {});
const SDKS = [
  { line: '1', Sdk: Anthropic, zodTool: betaZodTool, zodFormat: zodOutputFormat },
  { line: '0', Sdk: Anthropic0, zodTool: betaZodTool0, zodFormat: zodOutputFormat0 },
];

for (const { line, Sdk, zodTool, zodFormat } of SDKS) {
  const connect = (url, more) => new Sdk({ baseURL: url, apiKey: 'any', maxRetries: 0, timeout: 30_000, ...more });
  const client = connect(process.env.SLUIS_URL);
  // A gateway whose keep-alive interval is shorter than the upstream's silence.
  const impatient = connect(process.env.SLUIS_IMPATIENT_URL);
  const ask = (body, streaming) => (streaming ? client.messages.stream(body).finalMessage() : client.messages.create(body));

  for (const dialect of ['openai', 'anthropic']) {
    const upstream = new Upstream(dialect);

    describe(`the ${line}.x SDK on an upstream that speaks ${dialect}`, () => {
      for (const streaming of [false, true]) {
        test(`text, stream: ${streaming}`, async () => {
          const answer = await ask(upstream.message('text'), streaming);
          assert.deepEqual([answer.type, answer.role, answer.stop_reason], ['message', 'assistant', 'end_turn']);
          assert.match(answer.id, /^msg_/);
          assert.deepEqual(answer.content.map((block) => block.text), [WORDS]);
          assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [9, 5]);
        });

        for (const [scenario, cities] of [['tools', ['Oslo']], ['parallel', ['Oslo', 'Rome']]]) {
          test(`a round trip of ${scenario}, stream: ${streaming} (rules T2, T4, T8)`, async () => {
            const body = upstream.message(scenario, { tools: [WEATHER] });
            const answer = await ask(body, streaming);
            const calls = answer.content.filter((block) => block.type === 'tool_use');
            assert.equal(answer.stop_reason, 'tool_use');
            assert.deepEqual(calls.map((call) => call.input.city), cities);
            assert.equal(new Set(calls.map((call) => call.id)).size, cities.length);
            const results = calls.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: `cold in ${input.city}` }));
            const messages = [...USER, { role: 'assistant', content: answer.content }, { role: 'user', content: results }];
            const last = await ask({ ...body, messages }, streaming);
            assert.equal(last.content[0].text, `I saw: ${cities.map((city) => `cold in ${city}`).join(', ')}.`);
          });
        }

        test(`thinking and what it led to, stream: ${streaming} (rules A1, R1)`, async () => {
          const body = upstream.message('thinking', { tools: [WEATHER] });
          const answer = await ask(body, streaming);
          assert.deepEqual(answer.content.map((block) => block.type), ['thinking', 'tool_use']);
          assert.equal(answer.content[0].thinking, 'Cold? I ask.');
          assert.ok(answer.content[0].signature, 'whoever sends it back needs one');
          const results = [{ type: 'tool_result', tool_use_id: answer.content[1].id, content: 'cold' }];
          const messages = [...USER, { role: 'assistant', content: answer.content }, { role: 'user', content: results }];
          // The upstream refuses a turn whose thinking did not come back as it was.
          const last = await ask({ ...body, messages }, streaming);
          assert.equal(last.content.find((block) => block.type === 'text').text, 'I saw: cold.');
        });

        test(`a call without arguments, stream: ${streaming} (rule T1)`, async () => {
          const [call] = (await ask(upstream.message('no-arguments', { tools: [TIME] }), streaming)).content;
          assert.deepEqual([call.name, call.input], ['get_time', {}]);
        });

        const errors = [
          [400, 400, 'invalid_request_error', Sdk.BadRequestError],
          [401, 502, 'api_error', Sdk.InternalServerError],
          [402, 402, 'billing_error', Sdk.PaymentRequiredError ?? Sdk.APIError],
          [404, 404, 'not_found_error', Sdk.NotFoundError],
          [409, 409, 'conflict_error', Sdk.ConflictError],
          [413, 413, 'request_too_large', Sdk.ContentTooLargeError ?? Sdk.APIError],
          [422, 422, 'invalid_request_error', Sdk.UnprocessableEntityError],
          [429, 429, 'rate_limit_error', Sdk.RateLimitError],
          [500, 500, 'api_error', Sdk.InternalServerError],
          [529, 529, 'overloaded_error', Sdk.OverloadedError ?? Sdk.InternalServerError],
        ];
        for (const [status, told, type, kind] of errors) {
          test(`upstream ${status} raises ${kind.name}, stream: ${streaming} (rules M1, E3)`, async () => {
            await assert.rejects(ask(upstream.message(`error-${status}`), streaming), (error) => {
              assert.ok(error instanceof kind, `${error.constructor.name}: ${error}`);
              assert.equal(error.status, told);
              assert.match(error.message, new RegExp(`scripted ${status}`));
              assert.deepEqual([error.error.type, error.error.error.type], ['error', type]);
              assert.ok(error.requestID);
              return true;
            });
          });
        }
      }

      test('events (rule A1)', async () => {
        const kinds = [];
        for await (const event of await client.messages.create(upstream.message('text', { stream: true }))) kinds.push(event.type);
        const once = kinds.filter((kind, at) => kind !== 'ping' && kind !== kinds[at - 1]);
        const whole = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'];
        assert.deepEqual(once, whole);
      });

      test('the stream helper tells as it goes', async () => {
        let seen = '';
        const stream = client.messages.stream(upstream.message('text')).on('text', (delta) => (seen += delta));
        assert.equal(await stream.finalText(), WORDS);
        assert.equal(seen, WORDS);
      });

      for (const stream of [false, true]) {
        test(`the tool runner, stream: ${stream}`, async () => {
          const asked = [];
          const run = ({ city }) => (asked.push(city), `cold in ${city}`);
          const tools = [zodTool({ name: 'get_weather', description: 'Weather.', inputSchema: z.object({ city: z.string() }), run })];
          const runner = client.beta.messages.toolRunner(upstream.message('parallel', { tools, stream }));
          const last = await runner.runUntilDone();
          assert.equal(last.content[0].text, 'I saw: cold in Oslo, cold in Rome.');
          assert.deepEqual(asked, ['Oslo', 'Rome']);
        });
      }

      test('parse with a zod schema (rules J1, J2)', async () => {
        const format = zodFormat(z.object({ city: z.string(), degrees: z.number() }));
        const answer = await client.messages.parse(upstream.message('schema', { output_config: { format } }));
        assert.deepEqual(answer.parsed_output, { city: 'Oslo', degrees: -3 });
      });

      test('vision', async () => {
        const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: IMAGE } };
        const messages = [{ role: 'user', content: [image, { type: 'text', text: 'What is it?' }] }];
        assert.equal((await client.messages.create(upstream.message('vision', { messages }))).content[0].text, 'one pixel');
      });

      test('tokens are counted (rule A2)', async () => {
        const asked = { model: upstream.model('text'), messages: USER };
        const short = await client.messages.countTokens(asked);
        const long = await client.messages.countTokens({ ...asked, system: 'Be brief.', tools: [WEATHER] });
        assert.ok(0 < short.input_tokens && short.input_tokens < long.input_tokens);
      });

      test('a broken stream raises after what came (rule E3)', async () => {
        let seen = '';
        const stream = client.messages.stream(upstream.message('broken')).on('text', (delta) => (seen += delta));
        await assert.rejects(stream.finalMessage(), (error) => {
          assert.ok(error instanceof Sdk.APIError, `${error}`);
          assert.match(error.message, /api_error/);
          return true;
        });
        assert.equal(seen, 'half');
      });

      test('cancellation in mid-stream closes the upstream (rule D1)', async () => {
        await upstream.log('DELETE');
        let count = 0;
        for await (const _ of await client.messages.create(upstream.message('endless', { stream: true }))) {
          if (++count === 8) break;
        }
        await upstream.left();
      });

      test('an abort of the helper closes the upstream (rule D1)', async () => {
        await upstream.log('DELETE');
        const stream = client.messages.stream(upstream.message('endless'));
        stream.on('text', (_, snapshot) => snapshot.length > 12 && stream.abort());
        await assert.rejects(stream.finalMessage(), Sdk.APIUserAbortError);
        await upstream.left();
      });

      test('an abort before the first byte closes the upstream (rule D1)', async () => {
        await upstream.log('DELETE');
        const asked = client.messages.create(upstream.message('silent'), { signal: AbortSignal.timeout(700) });
        await assert.rejects(asked, Sdk.APIUserAbortError);
        await upstream.left();
      });

      test('keep-alives are pings (rules S6, S7)', async () => {
        const raw = await impatient.messages.create(upstream.message('late', { stream: true })).asResponse();
        assert.match(await raw.text(), /^event: ping$/m);
        assert.equal(await impatient.messages.stream(upstream.message('late')).finalText(), WORDS);
      });

      test('a retry waits as long as it is told to (rule F8)', async () => {
        const begun = Date.now();
        const answer = await connect(process.env.SLUIS_URL, { maxRetries: 1 }).messages.create(upstream.message('busy-once'));
        assert.equal(answer.content[0].text, WORDS);
        assert.ok(Date.now() - begun > 900);
      });

      test('what no retry could mend is asked once', async () => {
        await upstream.log('DELETE');
        const asked = connect(process.env.SLUIS_URL, { maxRetries: 2 }).messages.create(upstream.message('error-401'));
        await assert.rejects(asked, Sdk.InternalServerError);
        assert.equal((await upstream.log()).length, 1);
      });
    });
  }

  describe(`the ${line}.x SDK`, () => {
    test('models are listed', async () => {
      const names = [];
      for await (const model of client.models.list({ limit: 100 })) names.push(model.id);
      assert.ok(names.includes('builtin/echo'), names.join());
      assert.equal((await client.models.retrieve('builtin/echo')).id, 'builtin/echo');
    });

    test('an unknown model raises NotFoundError', async () => {
      const asked = client.messages.create({ model: 'nobody/knows', max_tokens: 5, messages: USER });
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof Sdk.NotFoundError);
        assert.equal(error.error.error.type, 'not_found_error');
        return true;
      });
    });
  });
}
