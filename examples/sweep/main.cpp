// SPDX-License-Identifier: MIT
//
// sweep: losses, betas and references on problems whose answer is known exactly. See --help.
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <losses/named_loss.hpp>

#include <prefer/expects.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/version.hpp>

#include "../program.hpp"
#include "compare.hpp"
#include "grid.hpp"
#include "objective.hpp"
#include "problem.hpp"
#include "published.hpp"
#include "report.hpp"
#include "results.hpp"
#include "run.hpp"

namespace {

constexpr char const* description =
    R"(Runs losses over a grid of betas, references and seeds, on problems so small
that expected reward and KL divergence of every policy are exact, or on ratings.

Writes sweep.csv, one row per run and number of steps, and sweep.html, a report:
reward against beta; reward against KL(policy || start) under the frontier that
no policy can beat, start * exp(R / beta) / Z; the distance to it; and paired
differences with standard errors.

Ctrl-C stops after the runs in flight. The same command goes on where it
stopped, and a larger grid runs only what is new.

Task bandit: 64 actions, start = softmax(1.2 N(0,1)), true reward R ~ N(0,1),
200 pairs drawn from the start and labelled with probability sigmoid(2 dR).
References: start; near, the start tilted by exp(0.7 R); far, fresh numbers with
the same tilt; uniform; ema, a moving average of the policy itself.

Task markov: the same over all sequences of 4 tokens out of 6, with a policy
that remembers one token, and R a sum over transitions.

Each seed draws its own problem, the same for every loss, beta and reference.
Training is full-batch descent from the start; the step is 4 / beta for dpo and
follows from slope and curvature for other losses.

Task ratings: people and items of --ratings FILE, split as in the program
recommend; 20000 pairs of a liked and a disliked item from the first 80 % of
each history. The policy is a matrix_factorization softmax over all items, the reward
NDCG@10 on the rest; KL is exact, mean over people. Training is AdamW over all
pairs with --rate for every loss. No policy is known to be best, so there is no
frontier. A seed draws start and pairs. References: start, the
maximum-likelihood model; near, the same trained three times as long; far,
popularity, the same for everybody; uniform; ema; none, log-probability 0.

With --method it compares ways to a policy instead of losses: dpo, offline, by any
loss of --loss; sft_on_chosen; iterative_dpo; online_dpo; xpo; nash_md; ppo; rloo;
reinforce; grpo; best_of_n; and rlhf_optimum, start * exp(reward / beta) / Z of the
learned reward itself, which RLHF looks for. All are held near the start. Swept is
beta, the coefficient of the KL divergence, of reward in nats of preference, 2 R, so
that dpo and RLHF of one beta look for the same policy; n (--n) of best_of_n; and
--steps of sft_on_chosen, which has nothing else to hold it.

--budget labels: the same number of human judgements, --pairs. dpo and
sft_on_chosen learn from pairs of the start; iterative_dpo spends its labels in 4
rounds, on what it writes then; the others fit a reward model on those pairs (a
score per action, or per transition of a sequence) and then draw as they like, for
200 steps: the learned reward is who judges them. --fit descent fits it as dpo of
beta 1 descends, so that neither has the better fit; --fit adamw as is usual.
--budget samples: the same number of completions drawn from a policy and scored by
the true reward, --samples; a pair is two of them, labelled with the odds
exp(r_a - r_b); best_of_n gives an answer for each n. What was spent is in
sweep.csv. One rule for all optimizers: AdamW at --rate [0.1], which falls to 0;
dpo and sft_on_chosen descend as above for 200 steps and for --steps. A beta of 0
is no KL term at all, which ppo, rloo, reinforce and grpo can do without.

On ratings, too, every method runs, by labels: nobody has scored everything, so
that there are no samples. Methods draw items as the program recommend has them,
--batch [1024] at a step for 200 steps at --rate [0.003], and ask a reward model
that begins with the start; so does iterative_dpo, for nobody can be asked about
what they never rated. The judge is NDCG@10 on held-out ratings. No policy is
known to be best: the yardstick is rlhf_optimum alone.

Reward and KL of every policy are sums over all completions; rewards are compared
at equal KL, seed by seed. sweep.csv has the time of each run and the most memory
that it held at once.

Scores, for losses that read them. Rewards (rebel, info_nca, nca, exo, lipo) are
the true R, or the stars of a rating, whatever the label says: flips do not
reach them. Where chosen must have more (odpo, rrhf, pro), it is what the
annotator saw: R through the noise that explains the label, so that chosen is
above rejected even where R says otherwise. Win probabilities (sppo_soft) are
sigmoid(2 dR), or sigmoid of the difference in stars.
)";

constexpr char const* examples =
    R"(Examples:
  sweep --study reference                 the published study, beside its table
  sweep --study rlhf                      every method, on bandit and markov
  sweep --loss dpo,ipo_sum,hinge --beta 0.01:5:log8 --reference start --seeds 20
  sweep --loss dpo,dpo:label_smoothing=0.1 --flip 0,0.1,0.3 --reference start
  sweep --reference start,near --beta 0.1,0.5:2:lin4 --steps 200,2000
  sweep --loss dpo,kto --bias 0.2 --output out/biased
  sweep --task markov --loss dpo,tdpo1,tdpo2,wpo,epsilon_dpo --reference start
  sweep --task ratings --ratings ml-100k.inter --loss dpo --beta 0.1,1
  sweep --method dpo,ppo,best_of_n --pairs 50 --seeds 50 --output out/methods
  sweep --task markov --method dpo,online_dpo,rloo --budget labels,samples
  sweep --task ratings --ratings ml-100k.inter --method all --beta 0.5,1,2

--loss takes what `losses --list` shows. The report calls the beta with the
highest mean reward a loss's best; it is chosen on the seeds that it is reported
on, which flatters every loss a little.
)";

struct arguments {
  std::string study;
  std::string loss = "dpo";
  std::string beta = "0.05,0.1,0.2,0.5,1,2,5";
  std::string reference = "start,near,far,uniform";
  std::string flip = "0";
  double bias = 0.0;
  std::string steps;        // empty: the task's
  std::uint64_t seeds = 0;  // 0: the task's
  sweep::task_options task;
  std::vector<std::pair<std::string, std::string>> of_one_task;  // options given, with their task
  std::set<std::string> given;                                   // options of the grid
  sweep::method_arguments methods;
  std::string output = "out/sweep";
  unsigned threads = prefer::available_threads();
};

/// Names of tasks; the one that markov had once is not among them.
CLI::Validator task_name() {
  auto known = program::one_of({"bandit", "markov", "ratings"});
  return CLI::Validator(
      [known](std::string& text) mutable {
        std::string const reason = known(text);
        return text == "bigram" ? reason + "; did you mean \"markov\"?" : reason;
      },
      known.get_description());
}

void declare(CLI::App& app, arguments& given) {
  auto* const study = app.add_option("--study", given.study,
                                     "A study that is built in: of references, or of all methods")
                          ->check(program::one_of({"reference", "rlhf"}));
  auto const of_the_grid = [&](CLI::Option* option) {
    option->excludes(study);
    option->each([&given, option](std::string const&) { given.given.insert(option->get_name()); });
  };
  of_the_grid(app.add_option("--task", given.task.name, "What is learned")
                  ->check(task_name())
                  ->capture_default_str());
  of_the_grid(app.add_option("--loss", given.loss, "Losses, with settings behind a colon as below")
                  ->type_name("NAME[:K=V,...],...")
                  ->check(program::not_empty("a list"))
                  ->capture_default_str());
  program::suggested["--loss"] = names_of_losses();
  program::suggested["--reference"] = {"start", "near", "far", "uniform", "ema", "none"};
  of_the_grid(
      app.add_option("--beta", given.beta, "Numbers, and ranges LOW:HIGH:logN or LOW:HIGH:linN")
          ->type_name("LIST")
          ->check(program::not_empty("a list"))
          ->capture_default_str());
  of_the_grid(app.add_option("--reference", given.reference, "What the policy is held near")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list"))
                  ->capture_default_str());
  of_the_grid(app.add_option("--flip", given.flip, "Shares of labels that are turned round")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list"))
                  ->capture_default_str());
  of_the_grid(app.add_option("--bias", given.bias,
                             "Share of labels from one annotator, who goes by a random taste")
                  ->type_name("SHARE")
                  ->check(program::between(0, 1))
                  ->capture_default_str());
  of_the_grid(app.add_option("--steps", given.steps,
                             "Numbers of steps at which to measure [200,2000; of ratings 100]")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list")));
  of_the_grid(
      app.add_option("--seeds", given.seeds, "Problems to draw, seeds 1 to N [200; of ratings 3]")
          ->check(program::whole(1, 1000000)));
  of_the_grid(app.add_option("--pairs", given.task.pairs,
                             "Labelled pairs of a problem [200; of ratings 20000]")
                  ->check(program::whole(1, 1000000)));
  auto const of_task = [&](char const* name, CLI::Option* option) {
    of_the_grid(option);
    option->each([&given, name, option](std::string const&) {
      given.of_one_task.emplace_back(name, option->get_name());
    });
  };
  of_task("bandit", app.add_option("--actions", given.task.actions, "Actions of the bandit")
                        ->check(program::whole(2, 100000))
                        ->capture_default_str());
  of_task("ratings", app.add_option("--ratings", given.task.ratings,
                                    "Tab-separated file with user_id, item_id, rating, timestamp")
                         ->type_name("FILE")
                         ->check(program::path()));
  of_task("ratings", app.add_option("--factors", given.task.factors,
                                    "Numbers per person and item of a ratings policy")
                         ->check(program::whole(1, 4096))
                         ->capture_default_str());
  of_task("ratings", app.add_option("--start-epochs", given.task.start_epochs,
                                    "Epochs of maximum likelihood behind a ratings start")
                         ->check(program::whole(1, 10000))
                         ->capture_default_str());
  of_task(
      "ratings",
      app.add_option("--rate", given.task.rate,
                     "Learning rate on ratings; that of every method with --method, where it is "
                     "0.1, and 0.003 on ratings")
          ->check(program::positive_and_finite())
          ->capture_default_str());
  sweep::declare_methods(app, given.methods, of_the_grid);
  app.add_option("--output", given.output, "Folder for sweep.csv and sweep.html")
      ->type_name("FOLDER")
      ->check(program::path())
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

sweep::grid grid_of(arguments const& given, sweep::task const& task) {
  sweep::grid all;
  all.losses = sweep::read_losses("--loss", given.loss, task.token_columns());
  all.betas = sweep::read_betas("--beta", given.beta);
  all.references = sweep::read_names("--reference", given.reference, task.references(),
                                     "this task has no reference");
  all.flips = sweep::read_flips("--flip", given.flip);
  all.bias = given.bias;
  bool const costly = given.task.name == "ratings";
  all.seeds = given.seeds != 0 ? given.seeds : costly ? 3 : 200;
  std::string const usual = costly ? "100" : "200,2000";
  all.steps = sweep::read_whole("--steps", given.steps.empty() ? usual : given.steps, "steps");
  return all;
}

struct job {
  std::size_t setting;
  std::uint64_t seed;
};

/// Prints the tables, then writes the page, whose pictures may fail one by one.
void report(arguments const& given, sweep::grid const& all, sweep::results const& kept,
            sweep::task const& task, std::string const& html, program::handover& results) {
  program::progress shown(0, "report");
  auto page = sweep::report_of(all, kept, task);
  if (given.study == "reference") page.add_first(sweep::compare_with_published(all, kept));
  shown.finish();
  results.attempt([&] {
    if (program::as_json) {
      program::print_json(sweep::json_of(all, kept, task));
    } else {
      program::print(page.text());
    }
    program::flush();
  });
  results.attempt([&] { page.write_html(html); });
  for (auto const& fault : page.faults()) results.fault(html + ": " + fault);
}

/// Runs methods instead of losses.
int run_methods(arguments const& given) {
  auto const written = [&](char const* option, std::string const& value) {
    return given.given.contains(option) ? value : std::string();
  };
  return sweep::compare(given.methods,
                        {.study = given.study,
                         .loss = written("--loss", given.loss),
                         .beta = written("--beta", given.beta),
                         .reference = written("--reference", given.reference),
                         .flip = written("--flip", given.flip),
                         .steps = given.steps,
                         .bias = given.bias,
                         .seeds = given.seeds,
                         .rate = given.given.contains("--rate") ? given.task.rate : 0.0,
                         .task = given.task,
                         .output = given.output,
                         .threads = given.threads});
}

int run(arguments const& given) {
  bool const methods = !given.methods.method.empty() || given.study == "rlhf";
  for (auto const& [name, option] : given.of_one_task) {
    if (name == given.task.name || (methods && option == "--rate")) continue;
    prefer::refuse(option + " goes with --task " + name + ", and this is --task " +
                   given.task.name);
  }
  if (methods) return run_methods(given);
  for (char const* option : {"--budget", "--samples", "--fit", "--n", "--batch", "--first-seed"}) {
    if (given.given.contains(option)) prefer::refuse(std::string(option) + " goes with --method");
  }
  auto const task = [&] {
    program::progress const reading(0, "task " + given.task.name);
    return sweep::make_task(given.task);
  }();
  sweep::grid const all = grid_of(given, *task);
  auto const settings = all.settings();
  std::vector<sweep::step_rule> steps;
  for (auto const& what : settings) {
    steps.push_back(task->sets_own_steps()
                        ? sweep::step_rule{}
                        : sweep::step_size(all.losses[what.loss], what.beta, task->tokens()));
  }
  std::string const csv = given.output + "/sweep.csv";
  std::string const html = given.output + "/sweep.html";
  program::stop_when_asked();
  program::expect_folder(given.output, {"sweep.csv", "sweep.csv.journal", "sweep.html"});
  program::claim const alone(csv);
  sweep::results kept(csv, "sweep " PREFER_VERSION_STRING " " + task->settings(), all);
  // By seeds, so that what an interruption leaves compares all settings on the same problems.
  std::vector<job> jobs;
  for (std::uint64_t seed = 1; seed <= all.seeds; ++seed) {
    for (std::size_t s = 0; s < settings.size(); ++s) {
      if (!kept.has(settings[s], seed)) jobs.push_back({s, seed});
    }
  }
  std::size_t const total = settings.size() * all.seeds;
  if (jobs.size() < total) {
    program::say(std::to_string(total) + " runs, of which " + std::to_string(total - jobs.size()) +
                 " are in " + csv + " already");
  }

  prefer::thread_pool pool(given.threads);
  {
    program::progress shown(jobs.size());
    pool.executor().for_each_chunk(jobs.size(), [&](std::size_t j) {
      if (program::interrupted) return;
      auto const& what = settings[jobs[j].setting];
      auto const problem = task->make(jobs[j].seed, what.noise);
      kept.add(what, jobs[j].seed,
               sweep::run(all, what, *task, *problem, jobs[j].seed, steps[jobs[j].setting]));
      shown.advance(1, "seed " + std::to_string(jobs[j].seed));
    });
  }
  kept.finish();
  if (program::interrupted) return program::stopped("finished runs are in " + csv);

  program::handover results;
  results.attempt([&] { report(given, all, kept, *task, html, results); });
  int const code = results.finish();
  if (code == 0) program::wrote({csv, html});
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "sweep", .description = description, .examples = examples}, declare,
      run);
}
