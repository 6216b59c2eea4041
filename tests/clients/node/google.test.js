// Google's official Node SDK, unchanged but for its base URL, in two of its lines: each test runs on an OpenAI,
// an Anthropic and a Gemini upstream.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as current from '@google/genai';
import * as older from 'google-1';

import { IMAGE, Upstream, WORDS } from './upstream.js';

const CITY = { type: 'OBJECT', properties: { city: { type: 'STRING' } }, required: ['city'] };
const WEATHER = { functionDeclarations: [{ name: 'get_weather', description: 'd', parameters: CITY }] };

/** The parts of the answer, as they came, and its last chunk. */
async function ask(sdk, model, streaming, contents = 'Tell me.', config = {}) {
  const asked = { model, contents, config };
  if (!streaming) {
    const answer = await sdk.models.generateContent(asked);
    return { parts: answer.candidates[0].content.parts, last: answer };
  }
  const parts = [];
  let last;
  for await (last of await sdk.models.generateContentStream(asked)) parts.push(...(last.candidates[0].content.parts ?? []));
  return { parts, last };
}

const text = (parts) => parts.map((part) => (part.thought ? '' : part.text ?? '')).join('');

for (const [line, { ApiError, GoogleGenAI }] of [['3', current], ['1', older]]) {
  const connect = (baseUrl) => new GoogleGenAI({ apiKey: 'any', vertexai: false, httpOptions: { baseUrl, timeout: 30_000 } });
  const client = connect(process.env.SLUIS_URL);
  // A gateway whose keep-alive interval is shorter than the upstream's silence.
  const impatient = connect(process.env.SLUIS_IMPATIENT_URL);

  for (const dialect of ['openai', 'anthropic', 'gemini']) {
    const upstream = new Upstream(dialect);
    const model = (scenario) => upstream.model(scenario);

    describe(`Google's ${line}.x SDK on an upstream that speaks ${dialect}`, () => {
      for (const streaming of [false, true]) {
        test(`text, stream: ${streaming}`, async () => {
          const { parts, last } = await ask(client, model('text'), streaming);
          assert.equal(text(parts), WORDS);
          assert.equal(last.candidates[0].finishReason, 'STOP');
          assert.deepEqual([last.usageMetadata.promptTokenCount, last.usageMetadata.candidatesTokenCount], [9, 5]);
        });

        test(`a round trip of tools, stream: ${streaming} (rules T2, T4)`, async () => {
          const config = {
            tools: [WEATHER],
            toolConfig: { functionCallingConfig: { mode: 'AUTO' } },
          };
          const { parts } = await ask(client, model('parallel'), streaming, 'Tell me.', config);
          const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
          assert.deepEqual(calls.map((call) => call.args.city), ['Oslo', 'Rome']);
          const results = calls.map(({ id, name, args }) => ({
            functionResponse: { id, name, response: { output: `cold in ${args.city}` } },
          }));
          const contents = [
            { role: 'user', parts: [{ text: 'Tell me.' }] },
            { role: 'model', parts },
            { role: 'user', parts: results },
          ];
          const { parts: said } = await ask(client, model('parallel'), streaming, contents, config);
          assert.equal(text(said), 'I saw: cold in Oslo, cold in Rome.');
        });

        test(`thinking in a session, stream: ${streaming} (rules R1, R2)`, async () => {
          const config = { tools: [WEATHER], thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } };
          const chat = client.chats.create({ model: model('thinking'), config });
          const send = async (message) => {
            if (!streaming) return [await chat.sendMessage({ message })];
            const chunks = [];
            for await (const chunk of await chat.sendMessageStream({ message })) chunks.push(chunk);
            return chunks;
          };
          const [call] = (await send('Tell me.')).flatMap((chunk) => chunk.functionCalls ?? []);
          const result = { functionResponse: { id: call.id, name: call.name, response: { output: 'cold' } } };
          const said = await send(result);
          assert.equal(said.map((chunk) => chunk.text ?? '').join(''), 'I saw: cold.');
        });

        for (const [status, seen] of [[400, 400], [429, 429], [500, 500]]) {
          test(`an error of ${status}, stream: ${streaming} (rule M1)`, async () => {
            await assert.rejects(ask(client, model(`error-${status}`), streaming), (error) => {
              assert.ok(error instanceof ApiError);
              assert.equal(error.status, seen);
              return error.message.includes(`scripted ${status}`);
            });
          });
        }
      }

      test('unicode', async () => {
        const { parts } = await ask(client, model('unicode'), true);
        assert.equal(text(parts), '\u4f60\u597d \u{1f30d} \u2028caf\u00e9');
      });

      test('vision', async () => {
        const { parts } = await ask(client, model('vision'), false, [
          { inlineData: { mimeType: 'image/png', data: IMAGE } },
          { text: 'What is it?' },
        ]);
        assert.equal(text(parts), 'one pixel');
      });

      test('an answer of a given shape (rule J1)', async () => {
        const properties = { city: { type: 'STRING' }, degrees: { type: 'INTEGER' } };
        const responseSchema = { type: 'OBJECT', properties, required: ['city', 'degrees'] };
        const config = { responseMimeType: 'application/json', responseSchema };
        const { last } = await ask(client, model('schema'), false, '?', config);
        assert.deepEqual(JSON.parse(last.text), { city: 'Oslo', degrees: -3 });
      });

      test('silence is passed over, and nothing is lost (rules S6, S7)', async () => {
        for (const scenario of ['late', 'slow-stream']) {
          const { parts } = await ask(impatient, model(scenario), true);
          assert.equal(text(parts), WORDS);
        }
      });

      test('what broke off is an error (rule E1)', async () => {
        let seen = '';
        await assert.rejects(async () => {
          const stream = await client.models.generateContentStream({ model: model('broken'), contents: '?' });
          for await (const chunk of stream) seen += chunk.text ?? '';
        }, line === '1' ? Error : ApiError);
        assert.equal(seen, 'half');
      });

      test('leaving early (rule D1)', async () => {
        await upstream.log('DELETE');
        const leave = new AbortController();
        const config = { abortSignal: leave.signal };
        let count = 0;
        await client.models
          .generateContentStream({ model: model('endless'), contents: '?', config })
          .then(async (stream) => {
            for await (const _ of stream) if (++count === 5) leave.abort();
          })
          .catch((error) => assert.match(String(error), /abort/i));
        await upstream.left();
      });

      test('tokens are counted (rule A2)', async () => {
        const { totalTokens } = await client.models.countTokens({ model: model('text'), contents: 'Tell me.' });
        assert.ok(totalTokens > 0);
      });
    });
  }

  test(`the models of a key are listed for Google, ${line}.x (rule K7)`, async () => {
    const names = [];
    for await (const model of await client.models.list({ config: { pageSize: 2 } })) names.push(model.name);
    assert.ok(names.includes('models/builtin/echo'));
    assert.equal((await client.models.get({ model: 'builtin/echo' })).displayName, 'builtin/echo');
  });
}
