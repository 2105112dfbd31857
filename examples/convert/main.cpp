// SPDX-License-Identifier: MIT
//
// convert: language models and adapters from one file format to another. See --help.
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/file/writable.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "../program.hpp"
#include "conversion.hpp"

namespace {

using prefer::lm::tensor_type;

constexpr char const* description =
    R"(Converts a language model between GGUF, which llama.cpp reads, and a folder of
safetensors with config and tokenizer, which transformers reads; merges an adapter
into it, or converts the adapter alone; changes the type of its matrices.)";

constexpr char const* examples =
    R"(  convert --model SmolLM2-135M-Instruct.gguf --output smollm2
  convert --model smollm2 --output smollm2.gguf
  convert --model smollm2.gguf --type q8_0 --output smollm2-q8_0.gguf
  convert --model smollm2.gguf --adapter tuned --output tuned.gguf
  convert --model smollm2.gguf --adapter tuned --keep-apart --output adapter.gguf

A model is a .gguf file, a .safetensors file beside its config.json, or a folder with
config.json and one or several of those. An adapter is a folder as PEFT saves it, or
a .gguf file as llama.cpp loads it with --lora.

Types of matrices; vectors, which are small, stay as they are:
  keep   as they are stored; merged ones, and blocks of GGUF on the way to
         safetensors, become f32, which loses nothing
  f32, f16, bf16
  q8_0   a byte for each number and a scale for 32 (GGUF only); where a row is no
         multiple of 32 numbers, f16
)";

struct arguments {
  convert::request what;
  std::string type = "keep";
  std::size_t shard_megabytes = 5000;
  unsigned threads = prefer::available_threads();
};

std::map<std::string, tensor_type> const types = {{"f32", tensor_type::f32},
                                                  {"f16", tensor_type::f16},
                                                  {"bf16", tensor_type::bf16},
                                                  {"q8_0", tensor_type::q8_0}};

void declare(CLI::App& app, arguments& given) {
  app.add_option("--model", given.what.model, "The model")
      ->type_name("FILE|FOLDER")
      ->check(program::path())
      ->required();
  app.add_option("--output", given.what.output,
                 "Where it goes: a file that ends in .gguf, or a folder for safetensors")
      ->type_name("FILE.gguf|FOLDER")
      ->check(program::path())
      ->required();
  app.add_option("--type", given.type, "Type of the matrices")
      ->check(program::one_of({"keep", "f32", "f16", "bf16", "q8_0"}))
      ->capture_default_str();
  auto* const adapter = app.add_option("--adapter", given.what.adapter, "An adapter to merge")
                            ->type_name("FOLDER|FILE.gguf")
                            ->check(program::path());
  app.add_flag("--keep-apart", given.what.keep_apart,
               "Write the adapter alone, for the model as it is")
      ->needs(adapter);
  app.add_option("--shard", given.shard_megabytes, "Megabytes of a file of safetensors, at most")
      ->check(program::whole(1, 1'000'000))
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

program::json document_of(convert::conversion const& done) {
  auto document = program::results_document();
  document["tensors"] = done.tensors;
  document["bytes"] = done.bytes;
  document["not_in_blocks"] = done.not_in_blocks;
  document["files"] = done.files;
  return document;
}

int run(arguments& given) {
  auto& what = given.what;
  if (given.type != "keep") what.type = types.at(given.type);
  what.shard_bytes = given.shard_megabytes * 1'000'000;
  bool const blocks = what.type == tensor_type::q8_0;
  if (blocks && !convert::writes_gguf(what)) {
    prefer::refuse(
        "--type: found \"q8_0\" with a folder of safetensors, which has no blocks; "
        "expected --output to end in .gguf, or another type");
  }
  if (what.keep_apart && what.type) {
    prefer::refuse("--type: found \"" + given.type +
                   "\" with --keep-apart, which writes no matrices of the model; expected keep");
  }
  program::expect_standard_output();
  program::stop_when_asked();
  if (!convert::writes_gguf(what)) program::make_folder(what.output);
  program::claim const alone(convert::writes_gguf(what) ? what.output
                                                        : what.output + "/model.safetensors");
  prefer::thread_pool pool(given.threads);
  convert::conversion done;
  try {
    std::optional<program::progress> shown;
    done = convert::run(what, pool.executor(), [&](std::size_t tensors, std::string const& tensor) {
      if (program::interrupted) throw program::stop();
      if (!shown) shown.emplace(tensors, "");
      shown->advance(1, tensor);
    });
  } catch (program::stop const&) {
    return program::stopped("nothing of the new output is there");
  }
  for (auto const& each : done.warnings) program::warn(each);
  if (!done.not_in_blocks.empty()) {
    program::say(std::to_string(done.not_in_blocks.size()) +
                 " matrices have rows of no multiple of 32 numbers and are f16, among them " +
                 done.not_in_blocks.front());
  }
  if (program::as_json) {
    program::print_json(document_of(done));
  } else if (!program::quiet) {
    program::print(std::to_string(done.tensors) + " tensors, " +
                   std::to_string((done.bytes + 500'000) / 1'000'000) + " MB\n");
  }
  program::wrote(done.files);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {"convert", description, examples}, declare, run);
}
