// LiteRT behind model.h, against libLiteRt.so of its Python wheel, which has no headers: the C functions that are used
// are declared here.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "model.h"

extern "C" {
typedef struct Opaque* Handle;
int LiteRtCreateEnvironment(int options, const void* option, Handle* environment);
int LiteRtCreateModelFromFile(Handle environment, const char* path, Handle* model);
int LiteRtCreateOptions(Handle* options);
int LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
int LiteRtCreateOpaqueOptions(const char* identifier, void* payload, void (*release)(void*), Handle* opaque);
int LiteRtAddOpaqueOptions(Handle options, Handle opaque);
int LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle* compiled);
int LiteRtGetNumModelSignatures(Handle model, size_t* count);
int LiteRtGetModelSignature(Handle model, size_t index, Handle* signature);
int LiteRtGetSignatureKey(Handle signature, const char** key);
int LiteRtGetNumSignatureInputs(Handle signature, size_t* count);
int LiteRtGetNumSignatureOutputs(Handle signature, size_t* count);
int LiteRtGetSignatureInputName(Handle signature, size_t index, const char** name);
int LiteRtGetSignatureOutputName(Handle signature, size_t index, const char** name);
int LiteRtGetSignatureInputTensorByIndex(Handle signature, size_t index, Handle* tensor);
int LiteRtGetSignatureOutputTensorByIndex(Handle signature, size_t index, Handle* tensor);
int LiteRtGetRankedTensorType(Handle tensor, void* type);
int LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t input, Handle* needed);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t output, Handle* needed);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const void* type, Handle needed,
                                                    Handle* buffer);
int LiteRtGetTensorBufferPackedSize(Handle buffer, size_t* bytes);
int LiteRtLockTensorBuffer(Handle buffer, void** memory, int mode);
int LiteRtUnlockTensorBuffer(Handle buffer);
int LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle* input, size_t outputs,
                           Handle* output);
}

namespace {

constexpr int kCpu = 1;
constexpr int kRead = 0, kWrite = 1;
constexpr size_t kTensorTypeBytes = 512;  // more than a LiteRtRankedTensorType, whose layout is not needed here

void check(int status, const std::string& what) {
  if (status) throw RunnerError("LiteRT refuses " + what + " (status " + std::to_string(status) + ")");
}

struct Signature {
  size_t index;
  std::vector<Handle> inputs, outputs;              // buffers in the order of LiteRT
  std::vector<size_t> input_order, output_order;    // position there of each tensor of the manifest
  std::vector<size_t> input_bytes, output_bytes;    // by the order of LiteRT
};

class LitertModel : public Model {
 public:
  LitertModel(const std::string& path, const std::vector<EntryPoint>& entries, int threads) {
    check(LiteRtCreateEnvironment(0, nullptr, &environment_), "an environment");
    check(LiteRtCreateModelFromFile(environment_, path.c_str(), &model_), path);
    Handle options, cpu;
    check(LiteRtCreateOptions(&options), "options");
    check(LiteRtSetOptionsHardwareAccelerators(options, kCpu), "the CPU");
    char* payload = strdup(("num_threads = " + std::to_string(threads) + "\n").c_str());
    check(LiteRtCreateOpaqueOptions("xnnpack", payload, std::free, &cpu), "options of the CPU");
    check(LiteRtAddOpaqueOptions(options, cpu), "options of the CPU");
    check(LiteRtCreateCompiledModel(environment_, model_, options, &compiled_), "to compile " + path);
    for (const EntryPoint& entry : entries) signatures_.push_back(describe(entry));
  }

  size_t input_bytes(size_t entry, size_t input) const override {
    const Signature& signature = signatures_[entry];
    return signature.input_bytes[signature.input_order.at(input)];
  }

  size_t output_bytes(size_t entry, size_t output) const override {
    const Signature& signature = signatures_[entry];
    return signature.output_bytes[signature.output_order.at(output)];
  }

  void write(size_t entry, size_t input, const std::function<void(void*)>& fill) override {
    const Signature& signature = signatures_[entry];
    locked(signature.inputs[signature.input_order.at(input)], kWrite, fill);
  }

  void read(size_t entry, size_t output, const std::function<void(const void*)>& take) override {
    const Signature& signature = signatures_[entry];
    locked(signature.outputs[signature.output_order.at(output)], kRead, take);
  }

  void run(size_t entry) override {
    Signature& signature = signatures_[entry];
    check(LiteRtRunCompiledModel(compiled_, signature.index, signature.inputs.size(), signature.inputs.data(),
                                 signature.outputs.size(), signature.outputs.data()),
          "to run");
  }

 private:
  template <typename Use>
  static void locked(Handle buffer, int mode, const Use& use) {
    void* memory;
    check(LiteRtLockTensorBuffer(buffer, &memory, mode), "the memory of a tensor");
    use(memory);
    check(LiteRtUnlockTensorBuffer(buffer), "the memory of a tensor");
  }

  Signature describe(const EntryPoint& entry) {
    Handle handle = nullptr;
    Signature signature{find(entry.function, &handle), {}, {}, {}, {}, {}, {}};
    size_t inputs, outputs;
    check(LiteRtGetNumSignatureInputs(handle, &inputs), entry.function);
    check(LiteRtGetNumSignatureOutputs(handle, &outputs), entry.function);
    std::vector<std::string> input_names, output_names;
    for (size_t at = 0; at < inputs; at++) {
      const char* name;
      Handle tensor, needed;
      check(LiteRtGetSignatureInputName(handle, at, &name), entry.function);
      check(LiteRtGetSignatureInputTensorByIndex(handle, at, &tensor), name);
      check(LiteRtGetCompiledModelInputBufferRequirements(compiled_, signature.index, at, &needed), name);
      input_names.push_back(name);
      add(tensor, needed, name, &signature.inputs, &signature.input_bytes);
    }
    for (size_t at = 0; at < outputs; at++) {
      const char* name;
      Handle tensor, needed;
      check(LiteRtGetSignatureOutputName(handle, at, &name), entry.function);
      check(LiteRtGetSignatureOutputTensorByIndex(handle, at, &tensor), name);
      check(LiteRtGetCompiledModelOutputBufferRequirements(compiled_, signature.index, at, &needed), name);
      output_names.push_back(name);
      add(tensor, needed, name, &signature.outputs, &signature.output_bytes);
    }
    signature.input_order = order(entry.inputs, input_names);
    signature.output_order = order(entry.outputs, output_names);
    return signature;
  }

  size_t find(const std::string& function, Handle* found) {
    size_t count;
    check(LiteRtGetNumModelSignatures(model_, &count), "to list signatures");
    for (size_t at = 0; at < count; at++) {
      const char* key;
      check(LiteRtGetModelSignature(model_, at, found), "a signature");
      check(LiteRtGetSignatureKey(*found, &key), "a signature");
      if (function == key) return at;
    }
    throw RunnerError("the model has no signature " + function);
  }

  void add(Handle tensor, Handle needed, const std::string& name, std::vector<Handle>* buffers,
           std::vector<size_t>* sizes) {
    alignas(16) char type[kTensorTypeBytes];
    Handle buffer;
    size_t bytes;
    check(LiteRtGetRankedTensorType(tensor, type), name);
    check(LiteRtCreateManagedTensorBufferFromRequirements(environment_, type, needed, &buffer), name);
    check(LiteRtGetTensorBufferPackedSize(buffer, &bytes), name);
    buffers->push_back(buffer);
    sizes->push_back(bytes);
  }

  static std::vector<size_t> order(const std::vector<std::string>& wanted, const std::vector<std::string>& names) {
    if (wanted.size() != names.size()) throw RunnerError("the model has not the tensors of the manifest");
    std::vector<size_t> positions;
    for (const std::string& name : wanted) {
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) throw RunnerError("the model has no tensor " + name);
      positions.push_back(found - names.begin());
    }
    return positions;
  }

  Handle environment_ = nullptr, model_ = nullptr, compiled_ = nullptr;
  std::vector<Signature> signatures_;
};

}  // namespace

std::unique_ptr<Model> open_model(const std::string& path, const std::vector<EntryPoint>& entries, int threads) {
  return std::make_unique<LitertModel>(path, entries, threads);
}
