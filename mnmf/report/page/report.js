"use strict";
// Plays the clips of the page. A clip has two channels, what the microphone heard (x) and the stem (s); every mode is
// gx·x + gs·s, so that one source plays on while two gains change.
(() => {
  const REMOVED = 41; // the end of a dial: no bleed at all
  const LOUDEST = 4; // by which the quieter is raised to be as loud as the rest, at most
  const FADE = 0.006; // seconds
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const $ = (selector, within = document) => within.querySelector(selector);
  let context = null;
  let current = null; // the player that plays, or did so last

  function clock(seconds) {
    const tenths = Math.round(seconds * 10);
    const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
    const minutes = Math.floor(tenths / 600);
    const hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  /** The gain of what was taken out, if it is turned down by so many decibels: that of --reduction. */
  function left(decibels) {
    return decibels >= REMOVED ? 0 : 10 ** (-decibels / 20);
  }

  /** The gains of microphone and stem. */
  function mix(mode, decibels) {
    if (mode === "original") return [1, 0];
    if (mode === "residual") return [1, -1];
    const g = left(decibels);
    return [g, 1 - g];
  }

  /** The same, so that all modes are equally loud if that is wanted. */
  function gains(known, mode, decibels, matched) {
    const [gx, gs] = mix(mode, decibels);
    let level = 1 / Math.max(1, known.peak);
    if (matched) {
      const [xx, ss, xs] = known.powers;
      const power = gx * gx * xx + 2 * gx * gs * xs + gs * gs * ss;
      const target = ss > 1e-4 * xx ? Math.min(xx, ss) : xx;
      level = power > 0 ? Math.min(Math.sqrt(target / power), LOUDEST) : 1;
      if (mode === "residual" && known.peak > 0) level = Math.min(level, 1 / known.peak);
    }
    return [gx * level, gs * level];
  }

  async function decoded(where, number) {
    const text = $(`#clip-${number}`).textContent;
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return where.decodeAudioData(bytes.buffer);
  }

  /** A source of both channels, and its two gains. */
  function build(where, buffer, [gx, gs]) {
    const source = new AudioBufferSourceNode(where, { buffer });
    const splitter = new ChannelSplitterNode(where, { numberOfOutputs: 2 });
    const gain = [gx, gs].map((value) => new GainNode(where, { gain: value }));
    source.connect(splitter);
    gain.forEach((node, channel) => {
      splitter.connect(node, channel);
      node.connect(where.destination);
    });
    return { source, gain };
  }

  function shell(word) {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  }

  function command(players) {
    const words = facts.base.length ? facts.base : ["mnmf", "separate", "…"];
    const asked = players.flatMap((player) => {
      const dB = player.decibels;
      if (dB >= REMOVED) return player.known.dial === null ? [] : ["--reduction", `${player.known.option}=inf`];
      return ["--reduction", `${player.known.option}=${dB}`];
    });
    return [...words, ...asked, "--overwrite"].map((word) => (word === "…" ? word : shell(word))).join(" ");
  }

  class Player {
    constructor(number, known) {
      this.number = number;
      this.known = known;
      this.root = $(`#player-${number}`);
      this.buffer = null;
      this.nodes = null;
      this.begun = null; // when, by the clock of the context, and where it started
      this.resting = 0; // where it goes on
      this.parts = {};
      for (const name of ["play", "turn", "at", "loops", "low", "high", "command", "rendered", "clock", "from", "to"]) {
        this.parts[name] = $(`.${name}`, this.root);
      }
      const { play, turn, at, loops, low, high } = this.parts;
      if (known.dial !== null) {
        if (!Number.isInteger(known.dial)) turn.step = "0.1";
        turn.value = known.dial < REMOVED ? known.dial : REMOVED;
      }
      for (const input of [at, low, high]) input.max = known.seconds.toFixed(1);
      high.value = high.max;
      play.addEventListener("click", () => this.toggle());
      turn.addEventListener("input", () => {
        if (this.mode !== "stem") this.mode = "stem";
        this.dialled();
      });
      at.addEventListener("input", () => this.seek(Number(at.value)));
      for (const input of [loops, low, high]) input.addEventListener("input", () => this.looped());
      for (const radio of this.radios) radio.addEventListener("change", () => this.changed());
      for (const plot of this.root.querySelectorAll("[data-plot]")) this.draws(plot);
      this.dialled();
      this.show();
    }

    get radios() {
      return [...this.root.querySelectorAll("input[type=radio]")];
    }

    get mode() {
      return this.radios.find((radio) => radio.checked).value;
    }

    set mode(value) {
      for (const radio of this.radios) radio.checked = radio.value === value;
      this.changed();
    }

    get decibels() {
      return Number(Number(this.parts.turn.value).toFixed(1));
    }

    get loop() {
      const low = Number(this.parts.low.value);
      const high = Math.min(Number(this.parts.high.value), this.known.seconds);
      return this.parts.loops.checked && high - low > 0.05 ? [low, high] : null;
    }

    /** Where it is, in seconds of the clip. */
    get position() {
      if (!this.begun) return this.resting;
      let at = this.begun.at + (context.currentTime - this.begun.time);
      const loop = this.loop;
      if (loop && at >= loop[1]) at = loop[0] + ((at - loop[0]) % (loop[1] - loop[0]));
      return Math.min(at, this.known.seconds);
    }

    gains() {
      return gains(this.known, this.mode, this.decibels, $("#matched").checked);
    }

    changed() {
      if (this.nodes) {
        this.gains().forEach((value, channel) => {
          this.nodes.gain[channel].gain.setTargetAtTime(value, context.currentTime, FADE);
        });
      }
    }

    dialled() {
      const dB = this.decibels;
      const text = dB >= REMOVED ? "removed" : dB === 0 ? "as recorded" : `${dB} dB down`;
      $(`#player-${this.number}-told`).textContent = text;
      this.parts.turn.setAttribute("aria-valuetext", text);
      const turned = dB < REMOVED || this.known.dial !== null;
      this.parts.command.textContent = command([this]);
      this.parts.command.hidden = !turned;
      this.parts.rendered.textContent = turned
        ? "This writes such a stem, for the whole take:"
        : "Turn the dial, and the command that writes such a stem stands here.";
      this.changed();
      told();
    }

    async toggle() {
      if (this.begun) this.pause();
      else await this.start();
    }

    async start() {
      try {
        context ??= new AudioContext();
        if (current && current !== this) current.pause();
        current = this;
        await context.resume();
        this.buffer ??= await decoded(context, this.number);
      } catch (error) {
        const trouble = $("#trouble");
        trouble.textContent = `This browser cannot play the excerpt: ${error.message}`;
        trouble.hidden = false;
        return;
      }
      if (current !== this || this.begun) return;
      let at = this.resting;
      const loop = this.loop;
      if (loop && (at < loop[0] || at >= loop[1])) at = loop[0];
      if (at >= this.known.seconds - 0.05) at = 0;
      this.nodes = build(context, this.buffer, this.gains());
      const { source } = this.nodes;
      if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: loop[1] });
      source.addEventListener("ended", () => {
        if (this.nodes?.source === source) this.rest(0);
      });
      source.start(0, at);
      this.begun = { time: context.currentTime, at };
      this.show();
      this.follow();
    }

    pause() {
      if (this.begun) this.rest(this.position);
    }

    rest(at) {
      this.nodes?.source.stop();
      this.nodes = null;
      this.begun = null;
      this.resting = at;
      this.show();
    }

    async seek(at) {
      const playing = Boolean(this.begun);
      if (playing) this.rest(at);
      this.resting = at;
      this.show();
      if (playing) await this.start();
    }

    async looped() {
      const { low, high } = this.parts;
      if (Number(low.value) > Number(high.value)) [low.value, high.value] = [high.value, low.value];
      this.show();
      if (this.begun) await this.seek(this.position);
    }

    async region(from, to) {
      this.parts.low.value = from.toFixed(1);
      this.parts.high.value = to.toFixed(1);
      this.parts.loops.checked = true;
      this.resting = Number(this.parts.low.value);
      this.show();
      if (this.begun) await this.seek(this.resting);
    }

    /** Clicking goes there, dragging loops. */
    draws(plot) {
      let from = null;
      const second = (event) => {
        const box = plot.getBoundingClientRect();
        return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.known.seconds;
      };
      plot.addEventListener("pointerdown", (event) => {
        from = second(event);
        plot.setPointerCapture(event.pointerId);
      });
      plot.addEventListener("pointercancel", () => (from = null));
      plot.addEventListener("pointerup", (event) => {
        if (from === null) return;
        const ends = [from, second(event)].sort((a, b) => a - b);
        from = null;
        if (ends[1] - ends[0] > 0.25) this.region(...ends);
        else this.seek(ends[0]);
      });
    }

    follow() {
      if (!this.begun) return;
      this.show();
      requestAnimationFrame(() => this.follow());
    }

    show() {
      const { play, at, clock: told, from, to, low, high } = this.parts;
      const position = this.position;
      const length = this.known.seconds;
      const text = (second) => clock(this.known.start + Number(second));
      const word = this.begun ? "Pause" : "Play";
      if ($(".word", play).textContent !== word) {
        $(".word", play).textContent = word;
        play.firstElementChild.textContent = this.begun ? "❚❚" : "▶";
        play.setAttribute("aria-label", `${word} ${this.known.name}`);
      }
      at.value = position;
      told.textContent = text(position);
      from.textContent = text(low.value);
      to.textContent = text(high.value);
      at.setAttribute("aria-valuetext", text(Math.round(position)));
      low.setAttribute("aria-valuetext", text(low.value));
      high.setAttribute("aria-valuetext", text(high.value));
      const loop = this.loop;
      const partly = loop && (loop[0] > 0.05 || loop[1] < length - 0.05);
      for (const plot of this.root.querySelectorAll("[data-plot]")) {
        const head = $(".head", plot);
        head.style.display = this.begun || position > 0 ? "block" : "none";
        head.style.left = `${(100 * position) / length}%`;
        const region = $(".region", plot);
        region.style.display = partly ? "block" : "none";
        if (partly) {
          region.style.left = `${(100 * loop[0]) / length}%`;
          region.style.width = `${(100 * (loop[1] - loop[0])) / length}%`;
        }
      }
    }
  }

  const players = new Map();

  /** Show what would render all stems as the dials stand. */
  function told() {
    const all = $("#command");
    if (all) all.textContent = command([...players.values()].filter((player) => !player.known.extra));
  }

  for (const known of facts.players) players.set(known.number, new Player(known.number, known));
  told();

  $("#matched").addEventListener("change", () => players.forEach((player) => player.changed()));

  for (const button of document.querySelectorAll("[data-go]")) {
    button.addEventListener("click", async () => {
      const player = players.get(Number(button.dataset.go));
      player.root.open = true;
      player.mode = "stem";
      if (player.begun) player.pause();
      await player.region(Number(button.dataset.at), Math.max(Number(button.dataset.until), Number(button.dataset.at) + 1));
      await player.start();
      player.root.scrollIntoView({ block: "start" });
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const inside = target.closest?.(".player");
    if (!inside && !$("#keys").checked) return;
    const player = inside ? players.get(Number(inside.dataset.player)) : (current ?? players.get(0));
    if (!player) return;
    const mode = { 1: "original", 2: "stem", 3: "residual" }[event.key];
    if (mode) {
      player.mode = mode;
      event.preventDefault();
    } else if (event.key === " " && !target.closest?.("button, input, summary, a, [tabindex]")) {
      player.toggle();
      event.preventDefault();
    }
  });

  $("#copy")?.addEventListener("click", async () => {
    const code = $("#command");
    try {
      await navigator.clipboard.writeText(code.textContent);
      $("#copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(code);
      $("#copied").textContent = "Selected: copy it now.";
    }
  });

  // For the curious, and for tests.
  window.mnmf = { players, gains, mix, decoded, build, command, REMOVED };
})();
