// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numbers>
#include <prefer/data/encode.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/lm/files/peft_adapter.hpp>
#include <prefer/lm/model/saved_adapter.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/train/annotators.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"
#include "tiny_models.hpp"

TEST_CASE("docs: language models, what a model says of a completion", "[docs][lm]") {
  std::string const model = PREFER_SOURCE_DIR "/tests/golden/lm_tiny/llama_tied";

  // [ask]
  auto const words = prefer::lm::open_tokenizer(model);
  prefer::token_sequences texts;
  auto const prompt = texts.prompts.add(words.encode("the cat sat"));
  auto const completion = texts.completions.add(words.encode(" near the window"));
  prefer::choice_data asked;
  asked.add_list(prompt, {{completion}});

  auto const base = prefer::lm::open_base<float>(model);
  prefer::lm::llama<float> policy(base, texts);
  std::vector<float> log_prob(1);  // nats
  policy.log_prob(asked.batch(), log_prob);
  // [/ask]

  // What it says of a text is what it says of its beginning, and then of its rest.
  auto rest = words.encode(" near the window");
  REQUIRE(rest.size() > 1);
  auto longer = words.encode("the cat sat");
  longer.push_back(rest.front());
  prefer::choice_data parts;
  parts.add_list(prompt, {{texts.completions.add(std::vector{rest.front()})}});
  rest.erase(rest.begin());
  parts.add_list(texts.prompts.add(longer), {{texts.completions.add(rest)}});
  std::vector<float> of_parts(2);
  policy.log_prob(parts.batch(), of_parts);
  CHECK(of_parts[0] + of_parts[1] == Approx(log_prob[0]).margin(1e-4));
}

TEST_CASE("docs: language models, from a model and a file of pairs to an adapter", "[docs][lm]") {
  temporary_folder const folder;
  std::string const model = PREFER_SOURCE_DIR "/tests/golden/lm_tiny/llama_tied";
  std::string const pairs = folder / "pairs.jsonl";
  std::string const adapter = folder / "adapter";
  std::ofstream(pairs)
      << R"({"prompt": "the cat sat", "chosen": " near the window", "rejected": " 6789 stones"})"
      << '\n'
      << R"({"prompt": "she counted", "chosen": " the boats", "rejected": " 3.14"})" << '\n';
  std::filesystem::create_directory(adapter);
  std::vector<double> losses;

  // [train]
  auto const tokenizer = prefer::lm::open_tokenizer(model);
  prefer::token_sequences texts;
  auto const data = prefer::data::encode(prefer::data::pairs(pairs), tokenizer, texts);

  auto const base = prefer::lm::open_base<float>(model);
  prefer::lm::lora_options const lora{.rank = 8, .alpha = 16};
  prefer::lm::llama<float> policy(base, texts, lora);
  prefer::without_adapter reference(policy);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data,
                           {.batch_size = 8, .epochs = 20, .rate = 2e-3});
  training.run([&](prefer::step_report const& step) { losses.push_back(step.loss); });
  // [/train]
  CHECK(losses.front() == Approx(std::numbers::ln2));
  CHECK(losses.back() < 0.6);

  // [save]
  prefer::lm::write_peft_adapter(adapter, prefer::lm::adapter_of(policy.parameters(), lora));
  // [/save]

  // [load]
  auto const saved = prefer::lm::read_peft_adapter<float>(adapter);
  auto const as_saved = prefer::lm::lora_options_of(saved);
  prefer::lm::llama<float> again(base, texts, as_saved);
  prefer::lm::copy_adapter({"adapter", adapter, 0}, saved, again.parameters(), as_saved);
  again.parameters_moved();
  // [/load]
  std::vector<float> ours(4), theirs(4);
  policy.log_prob(data.batch(), ours);
  again.log_prob(data.batch(), theirs);
  CHECK(ours == theirs);

  {
    std::string const reward_folder = folder / "reward";
    // [reward]
    prefer::scalar_head reward(prefer::lm::llama<float>(base, texts, lora));
    prefer::no_reference<float> none;
    prefer::trainer ranking(reward, prefer::bradley_terry{.centering = 0.01}, none, data,
                            {.batch_size = 2, .epochs = 2, .rate = 1e-3});
    ranking.run();
    prefer::lm::write_peft_adapter(reward_folder,
                                   prefer::lm::adapter_of(reward.parameters(), lora));
    // [/reward]
    auto const back = prefer::lm::read_peft_adapter<float>(reward_folder);
    prefer::scalar_head read(prefer::lm::llama<float>(base, texts, lora));
    prefer::lm::copy_adapter({"adapter", reward_folder, 0}, back, read.parameters(), lora);
    read.parameters_moved();
    reward.log_prob(data.batch(), ours);
    read.log_prob(data.batch(), theirs);
    CHECK(ours == theirs);
    CHECK(ours[0] > ours[1]);
    CHECK(ours[2] > ours[3]);

    // [ppo]
    prefer::lm::llama<float> writer(base, texts, lora);
    prefer::without_adapter start(writer);
    prefer::scalar_head values(prefer::lm::llama<float>(base, texts, lora));  // a second adapter
    prefer::rollouts source(
        writer, texts.completions, data.prompt, prefer::learned_reward(reward), start,
        prefer::ppo_method(
            values, {.kl = {.coefficient = 0.05}, .value = {.rate = 1e-3, .micro_batch = 8}}),
        {.prompts = 2,
         .completions = 4,
         .epochs = 2,
         .sampling = {.max_tokens = 16, .stop_token = tokenizer.end_token()}});
    prefer::trainer learning(writer, prefer::clipped_surrogate{}, start, source,
                             {.micro_batch_tokens = 1024, .steps = 4, .rate = 1e-3});
    learning.run();
    // [/ppo]
    CHECK(source.last().number == 2);
    CHECK(source.last().kl != 0.0);
    CHECK(source.method().value_loss() > 0.0);
  }

  // [full]
  prefer::lm::llama<float> whole(*base, texts, prefer::lm::full_fine_tuning{});
  // [/full]
  std::vector<float> of_base(4);
  whole.log_prob(data.batch(), ours);
  policy.log_prob_without_adapter(data.batch(), of_base);
  CHECK(ours == of_base);
}
