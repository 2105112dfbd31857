// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/reference/cached_on_demand.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/in_pieces.hpp>
#include <vector>

using prefer::bema;
using prefer::cached_on_demand;
using prefer::choice_batch;
using prefer::choice_data;
using prefer::moving_average;
using prefer::tr_dpo;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;

// Counts what it is asked, and throws on demand.
struct counting {
  using value_type = double;
  table model;
  std::size_t* rows;
  bool* broken = nullptr;
  void log_prob(choice_batch const& batch, std::span<double> out) {
    if (broken != nullptr && *broken) throw std::runtime_error("no device");
    *rows += batch.size();
    model.log_prob(batch, out);
  }
};

struct rows_of {
  prefer::choice_minibatch batch;
  rows_of(choice_data const& data, std::vector<std::uint32_t> const& rows) {
    batch.gather(data, rows);
  }
  [[nodiscard]] choice_batch all() { return batch.slice(0, batch.size()); }
};

}  // namespace

TEST_CASE("cached_on_demand: training on it has the bits of training on what it wraps",
          "[reference][on_demand]") {
  auto const compare = [](auto const& loss, choice_data const& data, auto const& rule,
                          prefer::train_options options) {
    for (bool const allow_logits : {true, false}) {
      options.allow_logits = allow_logits;
      auto one = small::policy<table>();
      auto two = one;
      moving_average direct(one, rule);
      cached_on_demand remembered(moving_average(two, rule), data);
      prefer::trainer(one, loss, direct, data, options).run();
      prefer::trainer(two, loss, remembered, data, options).run();
      CHECK(state_of(one) == state_of(two));
      CHECK(remembered.computed() < remembered.asked());
    }
  };
  prefer::train_options const options{.batch_size = 4, .epochs = 8, .rate = 0.1};  // 24 steps
  prefer::train_options cut = options;
  cut.micro_batch_size = 3;
  compare(prefer::dpo{}, small::pairs(10), tr_dpo{.alpha = 1.0, .every = 7}, options);
  compare(prefer::dpo{}, small::pairs(10), tr_dpo{.alpha = 0.6, .every = 7}, options);
  compare(prefer::dpo{}, small::pairs(10), bema{.every = 9}, cut);
  compare(prefer::kto{}, small::labelled(10), tr_dpo{.every = 7}, cut);
}

TEST_CASE("cached_on_demand: computes each row once between two moves", "[reference][on_demand]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  // Two steps an epoch, so a move every third epoch: 6 epochs ask for 60 rows, of which 10 are new at the start,
  // 10 after step 6; the move after step 12 is not asked about.
  cached_on_demand reference(moving_average(policy, tr_dpo{.alpha = 1.0, .every = 6}), data);
  prefer::trainer(policy, prefer::dpo{}, reference, data,
                  {.batch_size = 5, .epochs = 6, .rate = 0.1})
      .run();
  CHECK(reference.asked() == 60);
  CHECK(reference.computed() == 20);
}

TEST_CASE("cached_on_demand: of a reference that stays, it is a cache without a first pass",
          "[reference][on_demand]") {
  auto const data = small::labelled(10);
  std::size_t rows = 0;
  cached_on_demand reference(counting{small::policy<table>(), &rows}, data);
  STATIC_REQUIRE_FALSE(prefer::MovingReference<decltype(reference)>);
  auto model = small::policy<table>();
  std::vector<double> ours(4);
  std::vector<double> theirs(4);
  rows_of some(data, {7, 2, 7, 0});
  for (int turn = 0; turn < 3; ++turn) {
    reference.log_prob(some.all(), ours);
    model.log_prob(some.all(), theirs);
    CHECK(ours == theirs);
    CHECK(rows == 3);  // 7 is there twice
  }
  reference.log_prob(some.batch.kl_slice(0, 4), ours);
  model.log_prob(some.batch.kl_slice(0, 4), theirs);
  CHECK(ours == theirs);  // other numbers of the same rows
  CHECK(rows == 6);
}

TEST_CASE("cached_on_demand: what the reference could not answer is not remembered",
          "[reference][on_demand]") {
  auto const data = small::pairs(10);
  std::size_t rows = 0;
  bool broken = true;
  cached_on_demand reference(counting{small::policy<table>(), &rows, &broken}, data);
  rows_of some(data, {3, 4});
  std::vector<double> out(4);
  CHECK_THROWS_AS(reference.log_prob(some.all(), out), std::runtime_error);
  broken = false;
  reference.log_prob(some.all(), out);
  CHECK(rows == 2);
  std::vector<double> expected(4);
  small::policy<table>().log_prob(some.all(), expected);
  CHECK(out == expected);
}

TEST_CASE("cached_on_demand: a run in pieces has the bits of one without a break, cached or not",
          "[reference][on_demand]") {
  auto const data = small::pairs(10);
  auto const direct = [](table& policy) { return moving_average(policy, tr_dpo{.every = 4}); };
  auto const remembered = [&](table& policy) { return cached_on_demand(direct(policy), data); };
  small::resumes_to_the_same_bits(prefer::dpo{}, data, remembered);

  // A cache changes no result, so a run may go on with one or without one.
  temporary_folder folder;
  auto policy = small::policy<table>();
  auto first = remembered(policy);
  prefer::trainer run(policy, prefer::dpo{}, first, data, small::in_short_steps);
  for (int i = 0; i < 5; ++i) run.step();
  run.save(folder / "checkpoint");
  run.run();
  auto other = small::policy<table>();
  auto second = direct(other);
  prefer::trainer again(other, prefer::dpo{}, second, data, small::in_short_steps);
  again.resume(folder / "checkpoint");
  again.run();
  CHECK(state_of(other) == state_of(policy));
}

TEST_CASE("cached_on_demand: after a load it has forgotten everything", "[reference][on_demand]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  cached_on_demand reference(moving_average(policy, tr_dpo{.alpha = 1.0, .every = 1000}), data);
  rows_of some(data, {3, 4});
  std::vector<double> before(4);
  reference.log_prob(some.all(), before);
  prefer::archive_writer file;
  moving_average other(table(6, 5), tr_dpo{.alpha = 1.0, .every = 1000});
  other.save(file);
  reference.load(prefer::archive::parse(file.bytes(), "memory"));
  std::vector<double> after(4);
  std::vector<double> expected(4);
  reference.log_prob(some.all(), after);
  other.log_prob(some.all(), expected);
  CHECK(after == expected);
  CHECK(after != before);
}

TEST_CASE("cached_on_demand: refuses a batch without rows, and rows that it does not have",
          "[reference][on_demand]") {
  auto const data = small::pairs(9);
  cached_on_demand reference(prefer::frozen<table>(small::policy<table>()), data);
  std::vector<double> out(18);
  CHECK(message_of([&] { reference.log_prob(data.batch(), out); }) ==
        "cached_on_demand::log_prob: the batch has no row numbers to look up");
  auto const more = small::pairs(10);
  rows_of last(more, {9});
  CHECK(message_of([&] { reference.log_prob(last.all(), std::span(out).first(2)); }) ==
        "cached_on_demand::log_prob: row 9 with 2 completions is not in the data");
  rows_of one(small::labelled(9), {1});
  CHECK(message_of([&] { reference.log_prob(one.all(), std::span(out).first(1)); }) ==
        "cached_on_demand::log_prob: row 1 with 1 completions is not in the data");
  CHECK(message_of([&] {
          reference.log_prob(one.batch.kl_slice(0, 1), std::span(out).first(1));
        }) == "cached_on_demand::log_prob: row 1 with 1 completions is not in the data");
  CHECK(message_of([&] { reference.log_prob(last.all(), out); }) ==
        "cached_on_demand::log_prob: out has 18 elements, expected 2");
}
