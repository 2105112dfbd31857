// SPDX-License-Identifier: MIT
#include "study.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include <prefer/data/comparisons.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

#include "popularity.hpp"

namespace recommend {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

/// A loss of one's own: the negative log-likelihood of what people did.
constexpr auto likelihood =
    prefer::unpaired_loss([](auto const& event) { return -event.log_prob; });

prefer::choice_data events_of(interactions const& data) {
  prefer::choice_data out;
  for (std::uint32_t p = 0; p < data.people.size(); ++p) {
    for (std::uint32_t const item : data.people[p].train_items) out.add_labelled(p, item, true);
  }
  return out;
}

/// Mean over held-out preferences of the popularity of chosen minus that of rejected, nats.
double mean_margin(interactions const& data, popularity const& popular) {
  double total = 0.0;
  for (person const& someone : data.people) {
    for (std::size_t k = 0; k < someone.test_preferences.size(); ++k) {
      total += popular.margin(someone.test_preferences[k]);
    }
  }
  return total / static_cast<double>(data.test_preferences());
}

}  // namespace

std::vector<setting> settings_of(study_options const& options) {
  std::vector<setting> out;
  for (char const* const reference : {"trained", "popularity", "none"}) {
    for (double const beta : options.betas) out.push_back({"dpo", beta, reference});
  }
  // The scale of beta differs from loss to loss, so each has its own range.
  for (double const beta : {0.5, 1.0, 2.0, 5.0, 10.0})
    out.push_back({"softmax_dpo", beta, "trained"});
  for (double const beta : {0.05, 0.1, 0.2, 0.5, 1.0}) out.push_back({"ipo_sum", beta, "trained"});
  for (double const beta : {1.0, 2.0, 5.0, 10.0}) out.push_back({"simpo", beta, "none"});
  for (double const beta : {1.0, 2.0, 5.0, 10.0}) out.push_back({"kto", beta, "trained"});
  return out;
}

study::study(interactions const& data, study_options const& options, prefer::executor threads)
    : data_(data),
      options_(options),
      threads_(threads),
      start_(data.people.size(), data.items, options.factors) {}

training_cost train_start(model& policy, interactions const& data, study_options const& options,
                          std::uint64_t seed, prefer::executor threads) {
  std::uint64_t purpose_index = 0;
  for (auto const& parameter : policy.parameters()) {
    double const spread = parameter.name == "bias" ? 0.0 : 0.1;
    prefer::fill_normal(
        parameter.value,
        {.seed = seed, .purpose = prefer::random_purpose::initial_values, .step = purpose_index++},
        0.0, spread);
  }
  prefer::choice_data const events = events_of(data);
  prefer::no_reference<float> none;
  auto const begin = clock::now();
  prefer::trainer run(policy, likelihood, none, events,
                      {.batch_size = options.batch_size,
                       .epochs = options.start_epochs,
                       .seed = seed,
                       .rate = options.start_rate,
                       .optimizer = {.weight_decay = options.start_weight_decay},
                       .threads = threads});
  run.run();
  return {seconds_since(begin), events.size()};
}

study_row study::start(std::uint64_t seed) {
  seed_ = seed;
  training_cost const cost = train_start(start_, data_, options_, seed, threads_);

  start_.use(threads_);  // the trainer gave its threads back
  drawn_ = {};
  study_row row{.loss = "start", .beta = 0.0, .reference = "none", .seed = seed};
  auto const said = said_by(start_, threads_);
  row.quality = judge(data_, said, said, threads_);
  row.seconds = cost.seconds;
  row.pairs_per_second = static_cast<double>(cost.examples) *
                         static_cast<double>(options_.start_epochs) / cost.seconds;
  return row;
}

prefer::choice_data const& study::drawn(example_form form) {
  if (drawn_.size() != 0 && form == form_) return drawn_;
  form_ = form;
  drawn_ = {};  // one form is in memory at a time
  std::size_t const draws = options_.pairs_per_person * options_.tune_epochs;
  std::vector<std::uint32_t> list;
  for (std::uint32_t p = 0; p < data_.people.size(); ++p) {
    person const& someone = data_.people[p];
    if (someone.train_preferences.empty()) continue;
    prefer::data::preference_order order(someone.train_preferences.given());
    prefer::random_stream numbers(
        {.seed = seed_, .purpose = prefer::random_purpose::data, .index = p});
    for (std::size_t d = 0; d < draws; ++d) {
      preference const drawn =
          someone.train_preferences[prefer::below(numbers, someone.train_preferences.size())];
      // All forms take the same numbers, so that they are of the same preferences.
      std::vector<std::uint32_t> others = someone.train_disliked;
      prefer::shuffle(std::span(others), numbers);
      if (form == example_form::pairs) {
        drawn_.add_pair(p, drawn.chosen, drawn.rejected);
      } else if (form == example_form::labelled) {
        drawn_.add_labelled(p, drawn.chosen, true);
        drawn_.add_labelled(p, drawn.rejected, false);
      } else {
        list = {drawn.chosen, drawn.rejected};
        // What this person prefers to the chosen item, if only along a chain, is no negative of it.
        auto const over = order.over(drawn.chosen);
        for (std::uint32_t const other : others) {
          if (list.size() > options_.negatives) break;
          if (std::binary_search(over.begin(), over.end(), other)) continue;
          if (other != drawn.chosen && other != drawn.rejected) list.push_back(other);
        }
        drawn_.add_list(p, list);
      }
    }
  }
  if (form == example_form::labelled) drawn_.pair_with_others();
  if (form == example_form::pairs) {
    drawn_.length.assign(drawn_.completion.size(), 1.0f);  // an item is one choice; for simpo
  }
  return drawn_;
}

study_row study::tune(setting const& what) {
  model policy = start_;
  double const pairs = static_cast<double>(options_.pairs_per_person * options_.tune_epochs *
                                           data_.people_with_preferences());
  study_row row{.loss = what.loss, .beta = what.beta, .reference = what.reference, .seed = seed_};

  auto const train = [&](auto const& loss, auto& reference, prefer::choice_data const& data) {
    auto const begin = clock::now();
    prefer::trainer run(policy, loss, reference, data,
                        {.batch_size = options_.batch_size,
                         .epochs = 1,  // the draws of all epochs are in the data
                         .seed = seed_,
                         .rate = options_.tune_rate,
                         .threads = threads_});
    run.run();
    row.seconds = seconds_since(begin);
    row.pairs_per_second = pairs / row.seconds;
  };
  // The start model does not move, so what it says of the data is computed once.
  auto const with_start = [&](auto const& loss, prefer::choice_data const& data) {
    auto reference = prefer::cached<float>::of(start_, data);
    train(loss, reference, data);
  };
  popularity popular(data_);
  prefer::no_reference<float> none;

  if (what.loss == "dpo") {
    prefer::dpo const loss{.beta = what.beta};
    if (what.reference == "trained") {
      with_start(loss, drawn(example_form::pairs));
    } else if (what.reference == "popularity") {
      train(loss, popular, drawn(example_form::pairs));
    } else {
      train(loss, none, drawn(example_form::pairs));
    }
  } else if (what.loss == "softmax_dpo") {
    with_start(prefer::softmax_dpo{.beta = what.beta}, drawn(example_form::lists));
  } else if (what.loss == "ipo_sum") {
    with_start(prefer::ipo_sum{.beta = what.beta}, drawn(example_form::pairs));
  } else if (what.loss == "simpo") {
    train(prefer::simpo{.beta = what.beta, .gamma = 0.5 * what.beta}, none,
          drawn(example_form::pairs));
  } else if (what.loss == "kto") {
    with_start(prefer::kto{.beta = what.beta}, drawn(example_form::labelled));
  } else {
    prefer::refuse("study: unknown loss " + what.loss);
  }

  row.quality = judge(data_, said_by(policy, threads_), said_by(start_, threads_), threads_);
  double const reference_margin = what.reference == "none"      ? 0.0
                                  : what.reference == "trained" ? row.quality.start_margin
                                                                : mean_margin(data_, popular);
  row.reward_margin = what.beta * (row.quality.margin - reference_margin);
  return row;
}

}  // namespace recommend
