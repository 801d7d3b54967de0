import koffi from "koffi";

// The default stack of asynchronous calls is too small for ONNX Runtime's graph optimizer; it can be set only before the first library is loaded.
koffi.config({ async_stack_size: 8 << 20 });

/** A native address. */
export type Pointer = bigint;

export default koffi;
