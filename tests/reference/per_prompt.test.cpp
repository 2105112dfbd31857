// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/per_prompt.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/in_pieces.hpp>
#include <vector>

using prefer::choice_batch;
using prefer::frozen;
using prefer::per_prompt;
using small::message_of;

namespace {

using table = prefer::tabular<double>;

std::vector<std::uint32_t> const which = {0, 1, 2, 0, 1, 2};  // six prompts

// Tells each prompt's reference by its numbers: k * 1000 + row * 10 + completion.
struct labelled_by {
  using value_type = double;
  double k;
  void log_prob(choice_batch const& batch, std::span<double> out) const {
    for (std::size_t g = 0; g < batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        out[i] = -(1000 * k + 10 * static_cast<double>(batch.row[g]) + batch.completion[i] +
                   (batch.kl_examples ? 0.5 : 0.0));
      }
    }
  }
};

}  // namespace

TEST_CASE("per_prompt: every prompt has its own reference, in any order and any group size",
          "[reference][per_prompt]") {
  per_prompt reference(which, labelled_by{1}, labelled_by{2}, labelled_by{3});
  for (auto const& data : {small::pairs(20), small::lists(20), small::labelled(20)}) {
    prefer::choice_minibatch batch;
    batch.gather(data, std::vector<std::uint32_t>{19, 3, 4, 3, 0, 11, 12});
    auto const check = [&](choice_batch const& part) {
      std::vector<double> out(part.completions());
      reference.log_prob(part, out);
      for (std::size_t g = 0; g < part.size(); ++g) {
        for (std::size_t i = part.offset[g]; i < part.offset[g + 1]; ++i) {
          CHECK(out[i] ==
                -(1000.0 * (which[part.prompt[g]] + 1) + 10.0 * static_cast<double>(part.row[g]) +
                  part.completion[i] + (part.kl_examples ? 0.5 : 0.0)));
        }
      }
    };
    check(batch.slice(0, 7));
    check(batch.slice(2, 1));
    if (batch.has_kl_examples()) check(batch.kl_slice(1, 5));
  }
}

TEST_CASE("per_prompt: a cache by row may be one of them", "[reference][per_prompt]") {
  auto const data = small::pairs(20);
  auto model = small::policy<table>();
  auto cache = prefer::cached<double>::of(model, data, 7);
  prefer::choice_minibatch batch;
  batch.gather(data, std::vector<std::uint32_t>{19, 3, 0, 11});
  per_prompt reference({0, 1, 0, 1, 0, 1}, cache, frozen(model));
  std::vector<double> out(8);
  std::vector<double> expected(8);
  reference.log_prob(batch.slice(0, 4), out);
  model.log_prob(batch.slice(0, 4), expected);
  CHECK(out == expected);
}

TEST_CASE("per_prompt: parts that are the same give the bits of one", "[reference][per_prompt]") {
  for (bool const allow_logits : {true, false}) {
    auto const data = small::pairs(10);
    prefer::train_options options = small::in_short_steps;
    options.allow_logits = allow_logits;
    auto one = small::policy<table>();
    auto two = one;
    auto direct = frozen(one);
    per_prompt dispatched(which, frozen(one), frozen(one), frozen(one));
    prefer::trainer(one, prefer::dpo{}, direct, data, options).run();
    prefer::trainer(two, prefer::dpo{}, dispatched, data, options).run();
    CHECK(small::state_of(one) == small::state_of(two));
  }
}

TEST_CASE("per_prompt: its parts move, are saved and come back", "[reference][per_prompt]") {
  auto const make = [](table& policy) {
    return per_prompt(which, frozen(policy), prefer::moving_average(policy, prefer::ema{}),
                      prefer::moving_average(policy, prefer::tr_dpo{.every = 2}));
  };
  small::resumes_to_the_same_bits(prefer::dpo{}, small::pairs(10), make);
  small::resumes_to_the_same_bits(prefer::kto{}, small::labelled(10), make);
}

TEST_CASE("per_prompt: refuses prompts and references that are not there",
          "[reference][per_prompt]") {
  CHECK(message_of([] {
          per_prompt({0, 2}, labelled_by{1}, labelled_by{2});
        }) == "per_prompt: prompt 1 has reference 2 of 2");
  per_prompt reference({0, 0}, labelled_by{1});
  auto const data = small::pairs(10);
  std::vector<double> out(20);
  CHECK(message_of([&] { reference.log_prob(data.batch(), out); }) ==
        "per_prompt::log_prob: the batch has prompt 5; there is a reference for prompts below 2");
  CHECK(message_of([&] { reference.log_prob(data.batch(), std::span(out).first(3)); }) ==
        "per_prompt::log_prob: out has 3 elements, expected 20");
}

TEST_CASE("per_prompt: another dispatch is another reference to a checkpoint",
          "[reference][per_prompt]") {
  CHECK(per_prompt({0, 1}, labelled_by{1}, labelled_by{2}).identity() !=
        per_prompt({1, 0}, labelled_by{1}, labelled_by{2}).identity());
}
