// Play the recording, the gated recording, or what the gate removes.

const CHUNK_S = 0.1;
const SCHEDULED_S = 0.3;
const CROSSFADE_S = 0.01;
const PREFETCH_S = 15;
const MAX_DECODED_SOUNDS = 4;
const MAX_MATCHING_GAIN = 16;

function decodeBase64(text) {
  const octets = atob(text);
  const array = new Uint8Array(octets.length);
  for (let i = 0; i < octets.length; i++) array[i] = octets.charCodeAt(i);
  return array;
}

/**
 * Player of the segments of sound that the page contains.
 *
 * Sound is computed in short chunks shortly before it is heard, so that a change of a setting is
 * heard at once.
 */
class Player {
  /**
   * @param data Data of the page.
   * @param getFactor Function that returns the factor of a channel, as a function of time.
   * @param onStop Called when the sound ends.
   */
  constructor(data, getFactor, onStop) {
    this.data = data;
    this.getFactor = getFactor;
    this.onStop = onStop;
    this.buffers = new Map(); // of the sounds, or promises of them
    this.time = 0;
    this.playing = null;
  }

  get isPlaying() {
    return this.playing !== null;
  }

  /** The position in the recording, in seconds. */
  get position() {
    if (!this.playing) return this.time;
    const elapsed = this.context.currentTime - this.playing.contextStart;
    return Math.min(this.playing.end, this.playing.start + Math.max(0, elapsed));
  }

  findSound(time) {
    return this.data.sounds.find((sound) => time >= sound.start_s - 0.005 && time < sound.end_s);
  }

  openContext() {
    if (this.context) return;
    const rate = Math.min(48000, Math.max(8000, this.data.sounds[0].sample_rate));
    try {
      this.context = new AudioContext({ sampleRate: rate });
    } catch {
      this.context = new AudioContext();
    }
  }

  /** Return the decoded sound, or a promise of it if it is not decoded yet. */
  decode(sound) {
    if (this.buffers.has(sound)) return this.buffers.get(sound);
    const promise = this.context.decodeAudioData(decodeBase64(sound.data).buffer);
    this.buffers.set(sound, promise);
    promise.then((buffer) => this.buffers.set(sound, buffer), () => this.buffers.delete(sound));
    while (this.buffers.size > MAX_DECODED_SOUNDS) this.buffers.delete(this.buffers.keys().next().value);
    return promise;
  }

  /** Return the end of the sound that can be played from a time without a gap. */
  findEnd(time) {
    let end = time;
    for (let sound = this.findSound(end); sound; sound = this.findSound(end)) end = sound.end_s;
    return end;
  }

  /** Play from a time, up to another one. */
  async play(time, until = Infinity) {
    this.stop(false);
    const sound = this.findSound(time);
    if (!sound) return;
    const request = (this.request = {});
    this.openContext();
    await this.context.resume();
    await this.decode(sound);
    if (request !== this.request) return;
    const start = Math.max(time, sound.start_s);
    this.playing = { start, end: Math.min(until, this.findEnd(start)), contextStart: this.snap(0.05) };
    this.startGeneration(this.playing.contextStart);
    this.timer = setInterval(() => this.schedule(), 40);
  }

  stop(notify = true) {
    this.request = null;
    if (!this.playing) return;
    this.time = this.position;
    clearInterval(this.timer);
    this.endGeneration(this.context.currentTime);
    this.playing = null;
    if (notify) this.onStop();
  }

  /** Compute the sound again that is scheduled but not heard yet. */
  refresh() {
    if (!this.playing) return;
    const when = this.snap(0.03);
    if (when <= this.playing.contextStart) return;
    this.endGeneration(when);
    this.startGeneration(when);
  }

  /** Return a time of the context some seconds from now, at the beginning of a sample. */
  snap(seconds) {
    const rate = this.context.sampleRate;
    return Math.ceil((this.context.currentTime + seconds) * rate) / rate;
  }

  startGeneration(when) {
    const gain = this.context.createGain();
    gain.connect(this.context.destination);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(1, when + CROSSFADE_S);
    this.generation = { gain, scheduled: when, sources: [] };
    this.schedule();
  }

  endGeneration(when) {
    const { gain, sources } = this.generation;
    gain.gain.cancelScheduledValues(when);
    gain.gain.setValueAtTime(1, when);
    gain.gain.linearRampToValueAtTime(0, when + CROSSFADE_S);
    for (const source of sources) source.stop(when + 2 * CROSSFADE_S);
    setTimeout(() => gain.disconnect(), 500);
  }

  schedule() {
    const { context, playing, generation } = this;
    const rate = context.sampleRate;
    // A sound that was decoded too late has left a gap.
    generation.scheduled = Math.max(generation.scheduled, this.snap(0.005));
    while (generation.scheduled < context.currentTime + SCHEDULED_S) {
      const time = playing.start + generation.scheduled - playing.contextStart;
      const sound = time < playing.end - 0.5 / rate && this.findSound(time);
      if (!sound) break;
      const buffer = this.decode(sound);
      if (buffer instanceof Promise) break;
      const end = Math.min(playing.end, sound.end_s);
      const length = Math.max(1, Math.round(Math.min(CHUNK_S, end - time) * rate));
      const source = context.createBufferSource();
      source.buffer = this.renderChunk(sound, buffer, time, length);
      source.connect(generation.gain);
      source.start(generation.scheduled);
      source.onended = () => generation.sources.splice(generation.sources.indexOf(source), 1);
      generation.sources.push(source);
      generation.scheduled += length / rate;
    }
    const next = this.findSound(Math.min(playing.end, this.position + PREFETCH_S) - 0.01);
    if (next) this.decode(next);
    if (this.position >= playing.end) this.stop();
  }

  renderChunk(sound, buffer, time, length) {
    const rate = this.context.sampleRate;
    const chunk = this.context.createBuffer(buffer.numberOfChannels, length, rate);
    // Browsers remove the delay of the codec from the beginning with more or less precision.
    const first = buffer.length - Math.round((sound.end_s - time) * rate);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const factor = this.getFactor(channel);
      const input = buffer.getChannelData(channel);
      const output = chunk.getChannelData(channel);
      for (let i = 0; i < length; i++) {
        const value = (input[first + i] || 0) * factor(time + i / rate);
        output[i] = Math.max(-1, Math.min(1, value));
      }
    }
    return chunk;
  }
}

/** Return the factor that makes what is heard as loud as the recording in the view. */
function computeMatchingGain(data, { gains, listen, view }) {
  const frame = (seconds) => Math.round((seconds * data.sample_rate) / data.hop_length);
  const end = Math.min(data.frames, frame(view.end));
  let before = 0;
  let heard = 0;
  for (let k = Math.max(0, frame(view.start)); k < end; k++) {
    const code = Math.max(...data.levels.map((levels) => levels[k]));
    const power = code ? 10 ** ((data.level_offset_db + data.level_step_db * code) / 10) : 0;
    const gain = { before: 1, after: gains[0][k], removed: 1 - gains[0][k] }[listen];
    before += power;
    heard += power * gain ** 2;
  }
  return heard > 0 ? Math.min(MAX_MATCHING_GAIN, Math.sqrt(before / heard)) : 1;
}
