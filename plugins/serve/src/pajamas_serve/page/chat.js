// The page's whole logic: a conversation kept here, answers streamed from the API of the server that sent this page.

const find = (id) => document.getElementById(id);
const chat = find("chat"), message = find("message"), settings = find("settings");
const messages = [];
let running = null; // the AbortController of the answer under way

const headers = () => {
  const key = settings.elements.key.value;
  return { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
};

function element(kind, classes, text = "") {
  const made = document.createElement(kind);
  made.className = classes;
  made.textContent = text; // never HTML: a model may write anything
  return made;
}

function turn(role) {
  const box = element("article", `turn ${role}`);
  box.setAttribute("aria-label", role === "user" ? "You" : "Answer");
  chat.append(box);
  return box;
}

const atEnd = () => chat.scrollHeight - chat.scrollTop - chat.clientHeight < 60;
const toEnd = () => { chat.scrollTop = chat.scrollHeight; };

function request() {
  const body = { model: find("model").value, stream: true, stream_options: { include_usage: true } };
  for (const name of ["temperature", "top_p", "top_k", "max_tokens", "seed"]) {
    const value = settings.elements[name].value;
    if (value !== "") body[name] = Number(value);
  }
  const thinking = settings.elements.thinking.value;
  if (thinking) body.chat_template_kwargs = { enable_thinking: thinking === "true" };
  const system = settings.elements.system.value.trim();
  body.messages = system ? [{ role: "system", content: system }, ...messages] : [...messages];
  return body;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer broke off.");
    held += value;
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
  }
}

// What the browser says of a broken connection differs, and is of no help.
const broken = (error) => { throw error.name === "TypeError" ? new Error("The server does not answer.") : error; };

async function answer(box) {
  const response = await fetch("v1/chat/completions", {
    method: "POST", headers: headers(), body: JSON.stringify(request()), signal: running.signal,
  }).catch(broken);
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Error(said.error?.message ?? `The server answered with status ${response.status}.`);
  }
  const folded = element("details", "reasoning"), thought = element("div", "");
  folded.append(element("summary", "", "Reasoning"), thought);
  const text = element("div", "text");
  box.append(text);
  const said = { role: "assistant", content: "" };
  let cut = "";
  try {
    for await (const part of events(response)) {
      if (part.error) throw new Error(part.error.message);
      const follow = atEnd();
      const delta = part.choices[0]?.delta ?? {};
      if (part.choices[0]?.finish_reason === "length") cut = ", cut off at the longest answer";
      if (delta.reasoning_content) {
        if (!folded.isConnected) box.prepend(folded);
        thought.append(delta.reasoning_content);
      }
      if (delta.content) {
        said.content += delta.content;
        text.append(delta.content);
      }
      if (part.usage) {
        const tokens = part.usage.completion_tokens, speed = part.timings.predicted_per_second.toFixed(1);
        box.append(element("small", "figures", `${tokens} tokens, ${speed} a second${cut}`));
      }
      if (follow) toEnd();
    }
  } finally {
    if (said.content) messages.push(said);
  }
}

async function send() {
  const content = message.value.trim();
  if (!content || running) return;
  messages.push({ role: "user", content });
  turn("user").textContent = content;
  message.value = "";
  const box = turn("assistant");
  box.setAttribute("aria-busy", "true");
  toEnd();
  running = new AbortController();
  find("send").disabled = true;
  find("stop").disabled = false;
  try {
    await answer(box).catch(broken);
  } catch (error) {
    const stopped = error.name === "AbortError";
    if (!stopped && messages.at(-1)?.role === "user") message.value ||= content; // to send it again
    box.append(element("div", stopped ? "figures" : "error", stopped ? "Stopped." : error.message));
  } finally {
    running = null;
    box.removeAttribute("aria-busy");
    if (messages.at(-1)?.role === "user") messages.pop(); // it was not answered: the next begins as if it were not said
    find("send").disabled = false;
    find("stop").disabled = true;
    message.focus();
    toEnd();
  }
}

async function showState() {
  const health = find("health");
  try {
    const response = await fetch("status", { headers: headers() });
    if (response.status === 401) {
      health.textContent = "An API key is needed";
      return;
    }
    const state = await response.json();
    const shown = state.models.filter((model) => model.purpose === "generation");
    const options = [...find("model").options].map((option) => option.value);
    if (options.join() !== shown.map((model) => model.name).join()) {
      find("model").replaceChildren(...shown.map((model) => new Option(model.name, model.name)));
    }
    find("state").tBodies[0].replaceChildren(...state.models.map((model) => {
      const sum = (name) => model.workers.reduce((total, worker) => total + worker[name], 0);
      const ready = model.workers.filter((worker) => worker.state === "ready").length;
      const row = element("tr", "");
      const name = model.purpose === "generation" ? model.name : `${model.name} (${model.purpose})`;
      for (const cell of [name, ready, `${sum("busy")}/${sum("slots")}`, model.queue]) row.append(element("td", "", cell));
      return row;
    }));
    const used = state.memory.loading + state.memory.loaded + state.memory.releasing;
    find("memory").textContent = `${(used / 1e6).toFixed(0)} of ${(state.memory.limit / 1e6).toFixed(0)} MB reserved`;
    const open = state.models.some((model) => model.breaker !== "closed");
    const loading = state.models.some((model) => model.pinned && !model.workers.some((worker) => worker.state === "ready"));
    health.textContent = state.draining ? "Stopping" : open ? "A model fails" : loading ? "Loading" : "Ready";
  } catch {
    health.textContent = "The server does not answer";
  }
}

find("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });
find("stop").addEventListener("click", () => running?.abort());
find("new").addEventListener("click", () => {
  running?.abort();
  messages.length = 0;
  chat.replaceChildren();
  message.focus();
});
if (matchMedia("(max-width: 50rem)").matches) {
  for (const one of document.querySelectorAll("aside details")) one.open = false;
}
settings.addEventListener("submit", (event) => event.preventDefault());
settings.elements.key.addEventListener("change", showState);
setInterval(() => { if (!document.hidden) showState(); }, 2000);
showState();
