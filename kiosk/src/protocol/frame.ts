// Binary audio frames, as docs/kiosk-protocol.md lays them out:
// kind, flags, response (u16 LE), offset of the first sample (u32 LE), PCM16 LE.

const HEADER = 8;
const KIND_AUDIO = 1;
const FLAG_LAST = 1;
const MAX_PCM = 8192;

/** Mono audio at the rate of its response (or 16 kHz from the kiosk). */
export interface AudioFrame {
  /** Number of the response; 0 from the kiosk. */
  response: number;
  /** First sample's position in its response or stream, in samples. */
  offset: number;
  /** No more audio of this response comes after this frame. */
  last: boolean;
  pcm: Int16Array<ArrayBuffer>;
}

export function encodeFrame(frame: AudioFrame): ArrayBuffer {
  const buffer = new ArrayBuffer(HEADER + frame.pcm.length * 2);
  const view = new DataView(buffer);
  view.setUint8(0, KIND_AUDIO);
  view.setUint8(1, frame.last ? FLAG_LAST : 0);
  view.setUint16(2, frame.response, true);
  view.setUint32(4, frame.offset, true);
  for (let i = 0; i < frame.pcm.length; i++) view.setInt16(HEADER + i * 2, frame.pcm[i]!, true);
  return buffer;
}

/** Throws an Error that names the field when the bytes are not an audio frame. */
export function decodeFrame(buffer: ArrayBuffer): AudioFrame {
  if (buffer.byteLength < HEADER) throw new Error(`audio frame: ${buffer.byteLength} bytes, the header alone has ${HEADER}`);
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  if (kind !== KIND_AUDIO) throw new Error(`audio frame: kind is ${kind}, only ${KIND_AUDIO} (audio) is known`);
  const bytes = buffer.byteLength - HEADER;
  if (bytes % 2 !== 0) throw new Error(`audio frame: ${bytes} bytes of PCM16, must be even`);
  if (bytes > MAX_PCM) throw new Error(`audio frame: ${bytes} bytes of PCM16, at most ${MAX_PCM}`);
  const pcm = new Int16Array(bytes / 2);
  for (let i = 0; i < pcm.length; i++) pcm[i] = view.getInt16(HEADER + i * 2, true);
  return {
    response: view.getUint16(2, true),
    offset: view.getUint32(4, true),
    last: (view.getUint8(1) & FLAG_LAST) !== 0,
    pcm,
  };
}
