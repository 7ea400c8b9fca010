// Play the recording, the gated recording, or what the gate removes.

const CHUNK_S = 0.1;
const SCHEDULED_S = 0.3;
const CROSSFADE_S = 0.01;
const MAX_MATCHING_GAIN = 16;

function decodeBase64(text) {
  const octets = atob(text);
  return Uint8Array.from({ length: octets.length }, (_, i) => octets.charCodeAt(i));
}

/**
 * Player of the stretches of sound that the page contains.
 *
 * Sound is computed in short chunks shortly before it is heard, so that a change of a setting is
 * heard at once.
 */
class Player {
  /**
   * @param data Data of the page.
   * @param render Function (time, channel) => gain of the sample at this time.
   * @param onStop Called when the sound ends.
   */
  constructor(data, getFactor, onStop) {
    this.data = data;
    this.getFactor = getFactor;
    this.onStop = onStop;
    this.buffers = new Map();
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

  async decode(sound) {
    if (!this.buffers.has(sound)) {
      this.openContext();
      const octets = decodeBase64(sound.data);
      this.buffers.set(sound, await this.context.decodeAudioData(octets.buffer));
    }
    return this.buffers.get(sound);
  }

  /** Play from a time, up to another one. */
  async play(time, until = Infinity) {
    this.stop(false);
    const sound = this.findSound(time);
    if (!sound) return false;
    const request = (this.request = {});
    const buffer = await this.decode(sound);
    await this.context.resume();
    if (request !== this.request) return false;
    const start = Math.max(time, sound.start_s);
    const end = Math.min(until, sound.end_s, sound.start_s + buffer.duration);
    this.playing = { sound, buffer, start, end, contextStart: this.snap(0.05) };
    this.startGeneration(this.playing.contextStart);
    this.timer = setInterval(() => this.schedule(), 40);
    return true;
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
    while (generation.scheduled < context.currentTime + SCHEDULED_S) {
      const time = playing.start + generation.scheduled - playing.contextStart;
      const length = Math.round(Math.min(CHUNK_S, playing.end - time) * rate);
      if (length < 1) break;
      const source = context.createBufferSource();
      source.buffer = this.renderChunk(time, length);
      source.connect(generation.gain);
      source.start(generation.scheduled);
      source.onended = () => generation.sources.splice(generation.sources.indexOf(source), 1);
      generation.sources.push(source);
      generation.scheduled += length / rate;
    }
    if (this.position >= playing.end) this.stop();
  }

  renderChunk(time, length) {
    const { buffer, sound } = this.playing;
    const rate = this.context.sampleRate;
    const chunk = this.context.createBuffer(buffer.numberOfChannels, length, rate);
    const first = Math.round((time - sound.start_s) * rate);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const factor = this.getFactor(channel);
      const input = buffer.getChannelData(channel);
      const output = chunk.getChannelData(channel);
      for (let i = 0; i < length; i++) {
        const value = (input[first + i] || 0) * factor(sound.start_s + (first + i) / rate);
        output[i] = Math.max(-1, Math.min(1, value));
      }
    }
    return chunk;
  }
}

/**
 * Return the factor that makes what is heard as loud as the recording between two frames.
 *
 * @param levels Function frame => linear level; `gains` are those of the gate.
 */
function computeMatchingGain(listen, gains, levelAt, start, end) {
  let before = 0;
  let heard = 0;
  for (let k = start; k < end; k++) {
    const power = levelAt(k) ** 2;
    const gain = listen === "removed" ? 1 - gains[k] : listen === "after" ? gains[k] : 1;
    before += power;
    heard += power * gain ** 2;
  }
  return heard > 0 ? Math.min(MAX_MATCHING_GAIN, Math.sqrt(before / heard)) : 1;
}
