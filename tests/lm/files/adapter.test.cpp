// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <prefer/lm/files/any_adapter.hpp>
#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/peft_adapter.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <support/message_of.hpp>
#include <support/temporary_folder.hpp>

#include "support.hpp"

using namespace files_test;
using prefer::test::message_of;

namespace {

lm::adapter<double> tiny_adapter(std::string const& model) {
  return lm::read_peft_adapter<double>(tiny_path(model) + "/adapter");
}

/// What the pair adds to row `row`, column `column` of the weight.
double added(lm::adapter_pair<double> const& pair, std::size_t row, std::size_t column) {
  double sum = 0;
  for (std::size_t r = 0; r != pair.rank; ++r) {
    sum += pair.b[row * pair.rank + r] * pair.a[r * pair.in + column];
  }
  return pair.scale * sum;
}

lm::adapter_pair<double> const& pair_of(lm::adapter<double> const& adapter,
                                        std::string const& module) {
  for (auto const& each : adapter.pairs) {
    if (each.module == module) return each;
  }
  throw std::runtime_error("no pair " + module);
}

}  // namespace

TEST_CASE("adapter: PEFT's files of the tiny models are read, and written as they are read",
          "[lm][files]") {
  for (std::string const name : tiny_models) {
    INFO(name);
    auto adapter = tiny_adapter(name);
    CHECK(adapter.rank == 4);
    CHECK(adapter.scale() == 6.0 / 4);
    CHECK(adapter.pairs.size() == 14);  // seven maps of two layers
    lm::expect_fits({"test", name, 0}, adapter, lm::model_file(tiny_path(name)).config());
    temporary_folder const here;
    adapter.rank_stabilised = true;
    adapter.base_identity = 0xFEDCBA9876543210;
    adapter.base_vectors = 0x0123456789ABCDEF;
    for (auto& each : adapter.pairs) each.scale = adapter.scale();
    lm::write_peft_adapter(here / "adapter", adapter, "/home/somebody/models/tiny/");
    auto const config = content_of(here / "adapter/adapter_config.json");
    CHECK(config.find("\"base_model_name_or_path\": \"tiny\"") != std::string::npos);
    CHECK(config.find("somebody") == std::string::npos);
    auto const back = lm::read_peft_adapter<double>(here / "adapter");
    CHECK(back.scale() == 6.0 / 2);  // alpha / sqrt(rank)
    CHECK(back.base_identity == adapter.base_identity);
    CHECK(back.base_vectors == adapter.base_vectors);
    for (auto const& pair : adapter.pairs) {
      CHECK(pair_of(back, pair.module).a == pair.a);
      CHECK(pair_of(back, pair.module).b == pair.b);
      CHECK(pair_of(back, pair.module).scale == 3);
    }
  }
}

TEST_CASE("adapter: GGUF's form adds the same to every weight, scales and order of rows included",
          "[lm][files]") {
  for (std::string const name : tiny_models) {
    INFO(name);
    auto const config = lm::model_file(tiny_path(name)).config();
    auto adapter = tiny_adapter(name);
    adapter.rank_stabilised = true;
    for (auto& each : adapter.pairs) each.scale = adapter.scale();
    adapter.pairs[3].scale = 0.25;  // one of its own
    temporary_folder const here;
    auto const path = here / "adapter.gguf";
    lm::write_gguf_adapter(path, adapter, config);

    lm::gguf_file const file(path);
    CHECK(file.text("general.type") == "adapter");
    CHECK(file.text("adapter.type") == "lora");
    CHECK(file.text("general.architecture") ==
          (config.architecture == "mistral" ? "llama" : config.architecture));
    CHECK(file.number("adapter.lora.alpha") == 3.0 * 4);
    auto const* const b = file.find("blk.1.attn_k.weight.lora_b");
    REQUIRE(b != nullptr);
    CHECK(b->shape == std::vector{config.key_value_heads * config.head_size, std::size_t{4}});

    auto const back = lm::read_gguf_adapter<double>(path, config);
    REQUIRE(back.pairs.size() == adapter.pairs.size());
    for (auto const& pair : adapter.pairs) {
      INFO(pair.module);
      auto const& there = pair_of(back, pair.module);
      for (std::size_t row = 0; row != pair.out; ++row) {
        // A float for B, which may have been multiplied, and one for alpha.
        REQUIRE(added(there, row, row % pair.in) ==
                Approx(added(pair, row, row % pair.in)).epsilon(1e-6).margin(1e-9));
      }
    }
  }
}

TEST_CASE("adapter: merged, it is in the weights of its maps and in no other", "[lm][files]") {
  for (std::string const name : {"llama_heads", "qwen3_norm"}) {
    INFO(name);
    lm::model_file const base(tiny_path(name));
    auto const adapter = tiny_adapter(name);
    temporary_folder const here;
    lm::write_gguf_model(here / "merged.gguf", base, lm::merged_adapter<double>(adapter),
                         {.matrices = lm::tensor_type::f64}, [](lm::gguf_writer&) {});
    lm::model_file const merged(here / "merged.gguf");
    for (auto const& tensor : base.names()) {
      INFO(tensor);
      auto expected = numbers<double>(base, tensor);
      std::size_t const columns = base.shape(tensor).back();
      for (auto const& pair : adapter.pairs) {
        if (pair.module + ".weight" != tensor) continue;
        for (std::size_t i = 0; i != expected.size(); ++i) {
          expected[i] += added(pair, i / columns, i % columns);
        }
      }
      auto const found = numbers<double>(merged, tensor);
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i != found.size(); ++i) {
        REQUIRE(found[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-15));
      }
    }
  }
}

TEST_CASE("adapter: what changes a tied output matrix is merged into two, and refused in GGUF",
          "[lm][files]") {
  lm::model_file const base(tiny_path("llama_tied"));
  std::size_t const vocabulary = base.config().vocabulary;
  std::size_t const width = base.config().width;
  for (std::string const module : {"lm_head", "model.embed_tokens"}) {
    INFO(module);
    bool const embedding = module != "lm_head";
    lm::adapter_pair<double> pair{.module = module,
                                  .rank = 2,
                                  .in = embedding ? vocabulary : width,
                                  .out = embedding ? width : vocabulary,
                                  .scale = 0.5};
    for (std::size_t i = 0; i != 2 * pair.in; ++i) pair.a.push_back(std::sin(double(i)));
    for (std::size_t i = 0; i != 2 * pair.out; ++i) pair.b.push_back(std::cos(double(i)));
    lm::adapter<double> const adapter{.rank = 2, .alpha = 1, .pairs = {pair}};
    temporary_folder const here;
    CHECK_THROWS_WITH(lm::write_gguf_adapter(here / "a.gguf", adapter, base.config()),
                      Catch::Contains("merge instead"));
    CHECK(here.count() == 0);

    lm::write_safetensors_model(here / "merged", base, lm::merged_adapter<double>(adapter),
                                {.matrices = lm::tensor_type::f64});
    lm::model_file const merged(here / "merged");
    CHECK_FALSE(merged.config().tied_output);
    auto const start = numbers<double>(base, "model.embed_tokens.weight");
    auto const in = numbers<double>(merged, "model.embed_tokens.weight");
    auto const out = numbers<double>(merged, "lm_head.weight");
    CHECK((embedding ? out : in) == start);
    std::size_t const id = 7, i = 5;
    double const change = embedding ? added(pair, i, id) : added(pair, id, i);
    CHECK((embedding ? in : out)[id * width + i] == Approx(start[id * width + i] + change));
  }
}

TEST_CASE("adapter: of an embedding beside an output matrix of its own A lies transposed in GGUF",
          "[lm][files]") {
  lm::model_file const base(tiny_path("llama_heads"));
  std::size_t const vocabulary = base.config().vocabulary;
  std::size_t const width = base.config().width;
  lm::adapter_pair<double> pair{
      .module = "model.embed_tokens", .rank = 2, .in = vocabulary, .out = width, .scale = 0.5};
  for (std::size_t i = 0; i != 2 * pair.in; ++i) pair.a.push_back(double(i % 31));
  for (std::size_t i = 0; i != 2 * pair.out; ++i) pair.b.push_back(double(i % 7));
  temporary_folder const here;
  lm::adapter<double> const adapter{.rank = 2, .alpha = 1, .pairs = {pair}};
  lm::write_gguf_adapter(here / "a.gguf", adapter, base.config());
  lm::gguf_file const file(here / "a.gguf");
  CHECK(file.find("token_embd.weight.lora_a")->shape == std::vector{vocabulary, std::size_t{2}});
  CHECK(file.find("token_embd.weight.lora_b")->shape == std::vector{width, std::size_t{2}});
  auto const back = lm::read_gguf_adapter<double>(here / "a.gguf", base.config());
  CHECK(back.pairs.at(0).a == pair.a);
  CHECK(back.pairs.at(0).b == pair.b);
}

TEST_CASE("adapter: one of another model, and what is no plain LoRA, is refused by name",
          "[lm][files]") {
  auto const config = lm::model_file(tiny_path("llama_tied")).config();
  auto const other = tiny_adapter("qwen3_norm");
  CHECK(message_of([&] {
          lm::expect_fits({"adapter", "a", 0}, other, config);
        }) ==
        "adapter: a: it is an adapter of another model: it changes a matrix "
        "\"model.layers.0.self_attn.k_proj.weight\" of shape [32, 48], and the model has one of "
        "[24, 48]");
  struct extra {
    std::string text, complaint;
  };
  temporary_folder const here;
  auto const folder = here / "adapter";
  lm::write_peft_adapter(folder, other);
  auto const path = folder + "/adapter_config.json";
  auto const written = lm::json::parse(content_of(path));
  for (auto const& [text, complaint] :
       {extra{"\"use_dora\": true", "use_dora"},
        extra{"\"rank_pattern\": {\"q_proj\": 8}", "has rank 4, adapter_config.json says 8"},
        extra{"\"rank_pattern\": {\"q_.*\": 4}", "expected names of modules"},
        extra{"\"rank_pattern\": [4]", "expected an object"},
        extra{"\"alpha_pattern\": {\"q_proj\": \"8\"}", "expected a number"},
        extra{"\"alpha_pattern\": {\"self_attn.q_proj\": 8, \"q_proj\": 4}", "by the same modules"},
        extra{"\"modules_to_save\": [\"lm_head\"]", "modules_to_save"},
        extra{"\"init_lora_weights\": \"pissa\"", "init_lora_weights"},
        extra{"\"bias\": \"all\"", "expected none"},
        extra{"\"peft_type\": \"LOHA\"", "expected LORA"},
        extra{"\"r\": 8", "has rank 4, adapter_config.json says 8"}}) {
    auto changed = written;
    changed.update(lm::json::parse("{" + text + "}"));
    std::ofstream(path) << changed;
    CHECK_THROWS_WITH(lm::read_peft_adapter<double>(folder), Catch::Contains(complaint));
  }
}

TEST_CASE("adapter: a reward model's, as PEFT saves one, comes with its head and is written so",
          "[lm][files]") {
  auto const config = lm::model_file(tiny_path("llama_tied")).config();
  auto const folder = tiny_path("llama_tied") + "/reward_adapter";
  auto const adapter = lm::read_peft_adapter<double>(folder);
  auto const golden = lm::json::parse(content_of(tiny_path("llama_tied") + "/reward.json"));
  auto const weight = golden.at("weight").get<std::vector<double>>();
  REQUIRE(adapter.head.size() == weight.size());
  for (std::size_t i = 0; i != weight.size(); ++i) {
    CHECK(adapter.head[i] == Approx(weight[i]).epsilon(1e-7));  // of a float
  }
  // Its matrices are those of the adapter without a head.
  auto const plain = tiny_adapter("llama_tied");
  REQUIRE(adapter.pairs.size() == plain.pairs.size());
  for (std::size_t i = 0; i != plain.pairs.size(); ++i) {
    CHECK(adapter.pairs[i].b == plain.pairs[i].b);
  }
  temporary_folder const here;
  lm::write_peft_adapter(here / "adapter", adapter);
  CHECK(lm::read_peft_adapter<double>(here / "adapter").head == adapter.head);
  CHECK_NOTHROW(lm::expect_fits({"adapter", "a", 0}, adapter, config));

  // Who writes texts has no use for it.
  std::string const refused =
      "it is a reward model's: it has a head, and gives scores where others write";
  CHECK_THROWS_WITH(lm::read_adapter<double>(folder, config), Catch::Contains(refused));
  CHECK_THROWS_WITH(lm::write_gguf_adapter(here / "a.gguf", adapter, config),
                    Catch::Contains(refused));
  auto other = adapter;
  other.head.resize(7);
  CHECK_THROWS_WITH(lm::expect_fits({"adapter", "a", 0}, other, config),
                    Catch::Contains("its head takes 7 features, and the model has 48"));
  other.head[3] = std::numeric_limits<double>::quiet_NaN();
  lm::write_peft_adapter(here / "nan", other);
  CHECK_THROWS_WITH(lm::read_peft_adapter<double>(here / "nan"),
                    Catch::Contains("its head has a number that is not finite"));
  lm::write_peft_adapter(here / "headless", plain);
  auto const path = here / "headless/adapter_config.json";
  auto config_of = lm::json::parse(content_of(path));
  config_of["task_type"] = "SEQ_CLS";
  std::ofstream(path) << config_of;
  CHECK_THROWS_WITH(lm::read_peft_adapter<double>(here / "headless"),
                    Catch::Contains("has no tensor \"base_model.model.score.weight\""));
  config_of["modules_to_save"] = {"score", "lm_head"};
  std::ofstream(path) << config_of;
  CHECK_THROWS_WITH(lm::read_peft_adapter<double>(here / "headless"),
                    Catch::Contains("modules_to_save"));
}

TEST_CASE("adapter: ranks and alphas of some modules go by PEFT's patterns, and are written so",
          "[lm][files]") {
  auto const start = tiny_adapter("llama_tied");
  for (bool const rank_stabilised : {false, true}) {
    INFO(rank_stabilised);
    auto adapter = start;
    adapter.rank_stabilised = rank_stabilised;
    auto const divisor = [&](double rank) { return rank_stabilised ? std::sqrt(rank) : rank; };
    for (auto& pair : adapter.pairs) {
      pair.scale = adapter.scale();
      if (pair.module == "model.layers.1.self_attn.k_proj") {
        pair.rank = 2;  // the first two rows of A, and as many numbers of B
        pair.a.resize(2 * pair.in);
        pair.b.resize(2 * pair.out);
        pair.scale = 6 / divisor(2);  // of the common alpha
      }
      if (pair.module == "model.layers.0.mlp.up_proj") pair.scale = 5 / divisor(4);
    }
    temporary_folder const here;
    lm::write_peft_adapter(here / "adapter", adapter);
    auto const path = here / "adapter/adapter_config.json";
    auto config = lm::json::parse(content_of(path));
    CHECK(config["rank_pattern"] == lm::json{{"model.layers.1.self_attn.k_proj", 2}});
    CHECK(config["alpha_pattern"] == lm::json{{"model.layers.0.mlp.up_proj", 5}});
    // The end of a name stands for all modules that end so, with a circumflex for one alone.
    config["alpha_pattern"] = {{"0.mlp.up_proj", 5}, {"^q_proj", 7}, {"_proj", 9}};
    std::ofstream(path) << config;
    auto const back = lm::read_peft_adapter<double>(here / "adapter");
    for (auto const& pair : adapter.pairs) {
      INFO(pair.module);
      CHECK(pair_of(back, pair.module).rank == pair.rank);
      CHECK(pair_of(back, pair.module).scale == Approx(pair.scale).epsilon(1e-12));
      CHECK(pair_of(back, pair.module).b == pair.b);
    }
  }
}

TEST_CASE("adapter: of some layers alone, its files name each module", "[lm][files]") {
  auto adapter = tiny_adapter("llama_tied");
  std::erase_if(adapter.pairs,
                [](auto const& pair) { return pair.module.find("layers.1") == std::string::npos; });
  auto const config = lm::model_file(tiny_path("llama_tied")).config();
  temporary_folder const here;
  lm::write_gguf_adapter(here / "a.gguf", adapter, config);
  auto const back = lm::read_gguf_adapter<double>(here / "a.gguf", config);
  CHECK_FALSE(back.in_every_layer);
  lm::write_peft_adapter(here / "a", back);
  auto const written = lm::json::parse(content_of(here / "a/adapter_config.json"));
  auto const targets = written["target_modules"].get<std::vector<std::string>>();
  CHECK(targets.size() == 7);
  for (auto const& each : targets) CHECK(each.substr(0, 15) == "model.layers.1.");
  CHECK_FALSE(lm::read_peft_adapter<double>(here / "a").in_every_layer);
}

TEST_CASE("adapter: NaN and infinity in it are refused by the module, whatever file it lies in",
          "[lm][files]") {
  auto const config = lm::model_file(tiny_path("llama_tied")).config();
  for (double const bad : {std::nan(""), HUGE_VAL}) {
    auto adapter = tiny_adapter("llama_tied");
    adapter.pairs[3].b[5] = bad;
    std::string const sentence =
        "the adapter of \"" + adapter.pairs[3].module + "\" has a number that is not finite";
    temporary_folder const here;
    lm::write_peft_adapter(here / "a", adapter);
    lm::write_gguf_adapter(here / "a.gguf", adapter, config);
    for (std::string const name : {"a", "a.gguf"}) {
      CHECK_THROWS_WITH(lm::read_adapter<float>(here / name, config), Catch::Contains(sentence));
    }
  }
}
