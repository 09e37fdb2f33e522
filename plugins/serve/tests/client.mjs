// The Node SDK against a server: `node client.mjs URL`. Prints one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 2+2?" }];
const options = { model: "tiny", messages, temperature: 0, max_tokens: 60 };

const whole = await client.chat.completions.create(options);
let streamed = "";
for await (const part of await client.chat.completions.create({ ...options, stream: true })) {
  streamed += part.choices[0]?.delta?.content ?? "";
}
const error = await client.chat.completions.create({ ...options, wrong: 1 }).catch((one) => one);
const tools = [{ type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } }];
const called = await client.chat.completions.create({ ...options, tools, tool_choice: "required" });
const response = await client.responses.create({ model: "tiny", input: "What is 2+2?", temperature: 0 });
console.log(JSON.stringify({
  whole: whole.choices[0].message.content, streamed, status: error.status, code: error.code, param: error.param,
  tool: called.choices[0].message.tool_calls[0].function.name, response: response.output_text,
}));
