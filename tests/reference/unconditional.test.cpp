// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/cached_on_demand.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/unconditional.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/in_pieces.hpp>
#include <vector>

using prefer::frozen;
using prefer::unconditional;
using small::message_of;

namespace {
using table = prefer::tabular<double>;
}

TEST_CASE("unconditional: says of every prompt what it says of the one that stands for none",
          "[reference][unconditional]") {
  auto const model = small::policy<table>();
  auto reference = unconditional(frozen(model), 4);
  std::vector<double> of_none(small::completions);
  model.log_probs(4, of_none);
  for (auto const& data : {small::pairs(20), small::lists(20), small::labelled(20)}) {
    std::vector<double> out(data.completion.size());
    reference.log_prob(data.batch(), out);
    for (std::size_t i = 0; i < out.size(); ++i) CHECK(out[i] == of_none[data.completion[i]]);
  }
}

TEST_CASE("unconditional: it may be cached by row, but not be made of a cache by row",
          "[reference][unconditional]") {
  auto const data = small::labelled(20);
  auto model = small::policy<table>();
  auto direct = unconditional(frozen(model), 4);
  auto cache = prefer::cached<double>::of(direct, data, 7);
  prefer::choice_minibatch batch;
  batch.gather(data, std::vector<std::uint32_t>{19, 3, 0});
  std::vector<double> out(3);
  std::vector<double> expected(3);
  cache.log_prob(batch.kl_slice(0, 3), out);
  direct.log_prob(batch.kl_slice(0, 3), expected);
  CHECK(out == expected);

  auto wrong = unconditional(prefer::cached<double>::of(model, data, 7), 4);
  CHECK(message_of([&] { wrong.log_prob(batch.slice(0, 3), out); }) ==
        "cached::log_prob: the batch has no row numbers to look up");
}

TEST_CASE("unconditional: a prompt that is not there is refused by what it wraps",
          "[reference][unconditional]") {
  auto reference = unconditional(frozen(small::policy<table>()), 6);
  auto const data = small::pairs(2);
  std::vector<double> out(4);
  CHECK_THROWS_AS(reference.log_prob(data.batch(), out), prefer::precondition_error);
}

TEST_CASE("unconditional: moves, is saved and comes back with what it wraps",
          "[reference][unconditional]") {
  auto const make = [](table& policy) {
    return unconditional(prefer::moving_average(policy, prefer::tr_dpo{.every = 2}), 4);
  };
  auto const data = small::pairs(10);
  small::resumes_to_the_same_bits(prefer::dpo{}, data, make);
  small::resumes_to_the_same_bits(prefer::kto{}, small::labelled(10), make);
  small::resumes_to_the_same_bits(prefer::dpo{}, data, [&](table& policy) {
    return prefer::cached_on_demand(make(policy), data);
  });
}

TEST_CASE("unconditional: another prompt or another wrapped reference is another reference",
          "[reference][unconditional]") {
  table const start(6, 5);
  using prefer::ema;
  using prefer::moving_average;
  auto const identity = [&](std::uint32_t prompt, prefer::share rate) {
    return unconditional(moving_average(start, ema{.rate = rate}), prompt).identity();
  };
  CHECK(identity(1, 0.1) == identity(1, 0.1));
  CHECK(identity(1, 0.1) != identity(2, 0.1));
  CHECK(identity(1, 0.1) != identity(1, 0.2));
}
